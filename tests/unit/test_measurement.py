import json
from pathlib import Path

import pytest
from small_bundles import write_bundle

from edgepack import bundle
from edgepack.errors import MissingError, RecipeError
from edgepack.measurement import keep, measure_on_all
from edgepack.protocol import Protocol

QUICK = Protocol(0.0, 3, 0.0, 1.0, quick=True)


def test_a_device_that_fails_takes_no_other_one_with_it(tmp_path: Path) -> None:
    model = write_bundle(tmp_path / "bundle") / "model.float32.onnx"
    said: list[str] = []
    local, broken = measure_on_all(model, on=["local", "docker"], protocol=QUICK, say=said.append)
    assert local.document is not None and local.error is None
    assert [item["status"] for item in local.document["results"]] == ["ok"]
    assert broken.document is None and isinstance(broken.error, RecipeError)
    assert "needs a bundle or an image" in broken.error.message


def test_a_device_is_named_once_and_a_model_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--on local was given twice"):
        measure_on_all(tmp_path, on=["local", "local"], protocol=QUICK)
    (outcome,) = measure_on_all(tmp_path / "nothing", on=["local"], protocol=QUICK)
    assert isinstance(outcome.error, MissingError)


def test_what_a_device_measured_is_kept_beside_the_files_that_are_shipped(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    document = {"schema": "edgepack.latency/1", "device": {"name": "../shelf 1", "address": "ssh://x"}, "results": []}
    before = bundle.changed_files(folder, bundle.read_manifest(folder))
    path = keep(folder, document)
    assert path == folder / "devices" / "shelf-1.json"
    assert json.loads(path.read_text()) == document
    assert bundle.changed_files(folder, bundle.read_manifest(folder)) == before
    with pytest.raises(RecipeError, match="needs a bundle"):
        keep(folder / "model.float32.onnx", document)
