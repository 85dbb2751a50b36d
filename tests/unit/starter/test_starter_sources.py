"""Is what a user names taken for what it is?"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgepack.errors import MissingError, RecipeError
from edgepack.starter import sources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one of everything."""
    monkeypatch.chdir(tmp_path)
    np.savez("samples.npz", x=np.zeros((2, 3)), y=np.array([0, 1]))
    Path("table.csv").write_text("a,b\n1,2\n")
    Path("own.py").write_text("def load(): ...\n")
    for name in ("own.keras", "own.tflite", "own.onnx", "notes.txt"):
        Path(name).write_bytes(b"content")
    for name in ("pictures/cat", "digits", "saved", "out"):
        Path(name).mkdir(parents=True)
    Image.new("L", (8, 8)).save("pictures/cat/1.png")
    Path("digits/train-images-idx3-ubyte.gz").write_bytes(b"content")
    Path("saved/saved_model.pb").write_bytes(b"content")
    Path("out/model.keras").write_bytes(b"content")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("samples.npz", {"npz": "samples.npz"}),
        ("table.csv", {"csv": "table.csv"}),
        ("pictures", {"image_folder": "pictures"}),
        ("own.py:load", {"python": "own.py:load"}),
        ("wine", {"sklearn": "wine"}),
    ],
)
def test_data_is_read_by_its_source(folder: Path, text: str, section: dict[str, str]) -> None:
    assert sources.data_section(text, folder) == section


def test_a_folder_of_idx_files_is_one_even_where_a_built_in_set_has_its_name(folder: Path) -> None:
    assert sources.data_section("./digits", folder) == {"idx": "digits"}
    assert sources.data_section("digits", folder) == {"sklearn": "digits"}


@pytest.mark.parametrize(
    ("texts", "section"),
    [
        (["own.keras"], {"file": "own.keras"}),
        (["saved"], {"file": "saved"}),
        (["own.tflite", "own.onnx"], {"artifacts": ["own.tflite", "own.onnx"]}),
        (["own.py:build"], {"python": "own.py:build"}),
        (["resnet8"], {"zoo": "resnet8"}),
    ],
)
def test_model_is_taken_by_its_source(folder: Path, texts: list[str], section: dict[str, object]) -> None:
    assert sources.model_section(texts, folder) == section


def test_paths_start_from_the_recipes_folder(folder: Path) -> None:
    assert sources.data_section("samples.npz", Path("new")) == {"npz": "../samples.npz"}
    assert sources.data_section("samples.npz", Path("a/b/c")) == {"npz": str(folder / "samples.npz")}


def test_what_lies_in_a_folder_is_offered_and_results_are_not(folder: Path) -> None:
    assert [path.name for path in sources.models_in(folder)] == ["own.keras", "saved", "own.onnx", "own.tflite"]
    assert [path.name for path in sources.data_in(folder)] == ["digits", "pictures", "samples.npz", "table.csv"]
    assert sources.models_in(folder / "absent") == []


def test_unknown_words_are_answered_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(MissingError) as missing:
        sources.data_section("digit", folder)
    assert missing.value.fix == "did you mean 'digits'?"
    with pytest.raises(MissingError) as missing:
        sources.model_section(["ressnet8"], folder)
    assert missing.value.fix == "did you mean 'resnet8'?"


@pytest.mark.parametrize("text", ["notes.txt", "saved"])
def test_what_is_no_data_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(RecipeError, match=f"{text} is no data that edgepack reads"):
        sources.data_section(text, folder)


@pytest.mark.parametrize("texts", [["notes.txt"], ["own.keras", "own.tflite"]])
def test_what_is_no_model_is_refused(folder: Path, texts: list[str]) -> None:
    with pytest.raises(RecipeError, match=r"--model: "):
        sources.model_section(texts, folder)
