"""Are finished files chosen as paths or with keys, told apart by content, and never taken for a Keras model?"""

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgepack.errors import MissingError, RecipeError
from edgepack.models import artifacts, file


def config(*items: object) -> artifacts.Config:
    return artifacts.Config.model_validate({"artifacts": items})


def test_a_path_stands_for_a_file_with_its_defaults() -> None:
    found = config("a.tflite", {"file": "b.onnx", "precision": "int8", "layout": "nchw"}).artifacts
    assert [(item.file, item.precision, item.layout) for item in found] == [
        ("a.tflite", None, None),
        ("b.onnx", "int8", "nchw"),
    ]


@pytest.mark.parametrize("name", ["model.keras", "model", "model.tflite.zip", "."])
def test_other_files_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"expected a file that ends in \.onnx or \.tflite"):
        config(name)


def test_none_is_too_few() -> None:
    with pytest.raises(ValidationError):
        config()


@pytest.mark.parametrize("name", ["model.tflite", "folder/model.onnx"])
def test_a_finished_file_is_no_keras_model(name: str) -> None:
    with pytest.raises(ValidationError, match="expected a Keras model; finished files are given to `edgepack run` as"):
        file.Config(file=name)


def test_other_content_is_another_identity(tmp_path: Path) -> None:
    found = []
    for content in (b"one", b"other", b"one"):
        (tmp_path / "a.tflite").write_bytes(content)
        found.append(artifacts.identity(config("a.tflite"), tmp_path))
    assert found[0] == found[2] != found[1]


def test_what_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"model\.artifacts: there is nothing at .*a\.tflite"):
        artifacts.identity(config("a.tflite"), tmp_path)
    (tmp_path / "a.tflite").mkdir()
    with pytest.raises(RecipeError, match=r"a\.tflite is a folder; expected a file"):
        artifacts.identity(config("a.tflite"), tmp_path)


def test_there_is_no_model_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no Keras model"):
        artifacts.build(config("a.tflite"), tmp_path, input_shape=(1,), classes=2)
