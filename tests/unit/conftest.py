"""What holds for all unit tests: the same examples each time, no limit of time, no TensorFlow."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("edgepack", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("edgepack")


@pytest.fixture(autouse=True)
def _without_tensorflow() -> Iterator[None]:
    """Fail the test that imports TensorFlow; other tests of the same session may have done so before."""
    before = "tensorflow" in sys.modules
    yield
    assert before or "tensorflow" not in sys.modules, "a unit test imported TensorFlow: it belongs to tests/integration"
