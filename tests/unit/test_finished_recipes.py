"""Is everything refused, in its place, that finished files have no use for?"""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgepack import recipe
from edgepack.errors import EdgepackError
from edgepack.plan import make_plan
from edgepack.recipe import MAKING, Recipe

TEXT = """\
data: {sklearn: digits}
model:
  artifacts:
    - theirs.tflite
    - {file: theirs.onnx}
targets: [linux-amd64-cpu]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name in ("theirs.tflite", "theirs.onnx"):
        (tmp_path / name).write_bytes(b"not looked into")
    (tmp_path / "recipe.yaml").write_text(TEXT)
    return tmp_path / "recipe.yaml"


def refused(path: Path) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        make_plan(path)
    return caught.value


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("training: {epochs: 3}", "training"),
        ("training: {}", "training"),
        ("compress: [{use: prune}]", "compress"),
        ("compress: [{use: int8}]", "compress"),
        ("export: [{format: tflite, precision: int8}]", "export"),
    ],
)
def test_sections_of_making_are_refused_with_their_line(path: Path, section: str, key: str) -> None:
    path.write_text(f"{TEXT}{section}\n")
    error = refused(path)
    assert error.exit_code == 2
    assert error.message.startswith(f"{path}:7: {key}: model.artifacts are finished files")
    assert error.fix.startswith(f"drop {key}, or ")


def test_a_missing_file_is_named_with_its_line_before_anything_runs(path: Path) -> None:
    (path.parent / "theirs.onnx").unlink()
    error = refused(path)
    assert error.exit_code == 3
    assert error.message.startswith(f"{path}:5: model.artifacts: there is nothing at {path.parent / 'theirs.onnx'}")


def test_the_resolved_recipe_says_nothing_of_making_and_can_be_read_again(path: Path) -> None:
    loaded = make_plan(path).recipe
    assert not set(MAKING) & set(loaded.resolved())
    again = Recipe.model_validate(loaded.resolved())
    assert again.sha256() == loaded.sha256()
    assert loaded.training.epochs is None


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ("", "the key 'export' is missing"),
        ("export: []\n", "'export': expected at least one item; received []"),
    ],
)
def test_other_models_still_need_an_export(path: Path, export: str, message: str) -> None:
    path.write_text("data: {sklearn: digits}\nmodel: {zoo: mlp}\ntargets: [linux-amd64-cpu]\n" + export)
    error = refused(path)
    assert (error.exit_code, message in error.message) == (2, True), error.message


@pytest.mark.parametrize(
    ("model", "export", "good"),
    [
        ({"artifacts": ["a.tflite"]}, False, True),
        ({"artifacts": ["a.tflite"]}, True, False),
        ({"zoo": "mlp"}, True, True),
        ({"zoo": "mlp"}, False, False),
    ],
)
def test_an_editor_is_told_the_same_by_the_schema(model: dict[str, Any], export: bool, good: bool) -> None:
    document: dict[str, Any] = {"data": {"sklearn": "digits"}, "model": model, "targets": ["x"]}
    if export:
        document["export"] = [{"format": "tflite", "precision": "int8"}]
    assert Draft202012Validator(recipe.Recipe.model_json_schema()).is_valid(document) == good
