"""What do the tests of clusters share: whole small bundles with a real .onnx file, for any target."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_bundles import write_bundle

from edgepack import deployment

MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Writes a bundle into a folder of the test's own."""

    def make(name: str = "linux-amd64-cpu", **changed: Any) -> Path:
        return write_bundle(tmp_path / "run" / name, name, **changed)

    return make


@pytest.fixture
def deploy(make_bundle: MakeBundle, tmp_path: Path) -> Callable[..., Path]:
    """Writes all that suits a bundle, and returns the folder."""

    def run(
        name: str = "linux-amd64-cpu", *, image: str | None = "registry.example.org/shapes", **options: Any
    ) -> Path:
        out = tmp_path / "out" / name
        made = deployment.Options(image=image, **options)
        document = deployment.deploy(make_bundle(name), out, made)
        assert json.loads((out / "deployment.json").read_text()) == document
        return out

    return run
