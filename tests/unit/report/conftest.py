"""Which run folders do the tests of the report share?"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgepack.report import collect, write
from edgepack.report.schema import Report


@pytest.fixture(scope="session")
def runs() -> ModuleType:
    """The module that writes run folders; loaded by its path, whatever way pytest imports tests."""
    spec = importlib.util.spec_from_file_location("report_runs", Path(__file__).with_name("runs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["report_runs"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(runs: ModuleType, tmp_path: Path) -> Path:
    """A whole run for one target."""
    folder: Path = runs.write_run(tmp_path)
    return folder


def three_targets(runs: ModuleType, out: Path) -> Path:
    """int8 misses its gate on the first target, the second is emulated, the third not built."""
    folder: Path = runs.write_run(out, limit=0.004)
    runs.add_emulated(folder)
    runs.add_unbuilt(folder)
    return folder


@pytest.fixture
def mixed(runs: ModuleType, tmp_path: Path) -> Path:
    """A run for three targets that a test may change."""
    return three_targets(runs, tmp_path / "mixed")


@pytest.fixture(scope="session")
def drawn(runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with its report written, made once because drawing takes a second; not to be changed."""
    folder = three_targets(runs, tmp_path_factory.mktemp("drawn"))
    write(folder)
    return folder


@pytest.fixture(scope="session")
def html(drawn: Path) -> str:
    """Its page."""
    return (drawn / "report.html").read_text()


@pytest.fixture
def report(run: Path) -> Report:
    """The report of the whole run."""
    return collect(run)
