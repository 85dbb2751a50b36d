"""Which section of a recipe does a word of the user stand for, and what could be meant in a folder?"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from edgepack import extensions
from edgepack.data import idx, image_folder, sklearn
from edgepack.errors import MissingError, RecipeError
from edgepack.models import artifacts
from edgepack.suggest import did_you_mean

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
BUILT_IN: tuple[str, ...] = get_args(sklearn.Config.model_fields["sklearn"].annotation)
"""Data sets that are there on every machine."""

DATA = f"an .npz or .csv file, a folder of images or of IDX files, file.py:function, or one of: {', '.join(BUILT_IN)}"
MODEL = (
    "a .keras or .h5 file, a SavedModel folder, .tflite or .onnx files, file.py:function, or `edgepack models`' names"
)
SHOWN = 50
"""Entries of a folder that are looked at."""


def data_section(text: str, folder: Path) -> dict[str, Any]:
    """The start of a recipe's ``data`` section; what depends on the samples themselves is left out.

    Args:
        text: A path from the working folder, ``file.py:function``, or the name of a built-in set.
        folder: The recipe's folder, which paths in the section start from.

    Raises:
        RecipeError: It is no kind of data that edgepack reads.
        MissingError: There is nothing at that path.
    """
    if text in BUILT_IN:
        return {"sklearn": text}
    if (reference := _function(text, folder)) is not None:
        return {"python": reference}
    path = Path(text).expanduser()
    if not path.exists():
        raise MissingError(
            f"--data: there is nothing at {text}",
            fix=did_you_mean(text, BUILT_IN) or f"expected {DATA}",
        )
    kind = data_kind(path)
    if kind is None:
        raise RecipeError(f"--data: {text} is no data that edgepack reads", fix=f"expected {DATA}")
    return {kind: place(path, folder)}


def data_kind(path: Path) -> str | None:
    """The source of `edgepack.data` that reads a file or a folder; None when none does."""
    if path.is_file():
        return {".npz": "npz", ".csv": "csv"}.get(path.suffix.lower())
    if not path.is_dir():
        return None
    if any((path / f"{idx.NAMES['x_train']}{suffix}").is_file() for suffix in ("", ".gz")):
        return "idx"
    top = path / "train" if (path / "train").is_dir() else path
    return "image_folder" if any(_holds_images(child) for child in _children(top)) else None


def model_section(texts: Sequence[str], folder: Path) -> dict[str, Any]:
    """A recipe's ``model`` section: a file, finished files, a function, or an architecture of the zoo.

    Raises:
        RecipeError: It is no kind of model that edgepack takes, or several that are no finished files.
        MissingError: There is nothing at that path.
    """
    finished = artifacts.formats()
    if all(Path(text).suffix in finished for text in texts):
        for text in texts:
            _require(text)
        return {"artifacts": [place(Path(text).expanduser(), folder) for text in texts]}
    if len(texts) > 1:
        raise RecipeError(
            f"--model: {len(texts)} models; expected one, or several {' and '.join(sorted(finished))} files",
            fix="write a recipe for each",
        )
    (text,) = texts
    if text in extensions.names("edgepack.zoo"):
        return {"zoo": text}
    if (reference := _function(text, folder)) is not None:
        return {"python": reference}
    _require(text)
    path = Path(text).expanduser()
    if not is_keras(path):
        raise RecipeError(f"--model: {text} is no model that edgepack takes", fix=f"expected {MODEL}")
    return {"file": place(path, folder)}


def is_keras(path: Path) -> bool:
    """Whether a path is that of a saved Keras model, as far as its name tells."""
    return (path.is_file() and path.suffix in KERAS_SUFFIXES) or (path / "saved_model.pb").is_file()


def models_in(folder: Path) -> list[Path]:
    """Models that lie in a folder, those of Keras first."""
    found = [path for path in _children(folder) if is_keras(path)]
    return found + [path for path in _children(folder) if path.is_file() and path.suffix in artifacts.formats()]


def data_in(folder: Path) -> list[Path]:
    """Data that lie in a folder."""
    return [path for path in _children(folder) if data_kind(path) is not None]


def place(path: Path, folder: Path) -> str:
    """A path as a recipe says it: from its folder where that is near, else from the root."""
    absolute, start = path.resolve(), folder.resolve()
    relative = os.path.relpath(absolute, start)
    return str(absolute) if relative.count("../") > 1 else Path(relative).as_posix()


def _function(text: str, folder: Path) -> str | None:
    """``file.py:function`` as the recipe says it; None for another text."""
    file, separator, name = text.rpartition(":")
    if not separator or not file.endswith(".py") or not name.isidentifier():
        return None
    _require(file)
    return f"{place(Path(file).expanduser(), folder)}:{name}"


def _require(text: str) -> None:
    if not Path(text).expanduser().exists():
        hint = did_you_mean(text, extensions.names("edgepack.zoo")) if Path(text).name == text else ""
        raise MissingError(f"there is nothing at {text}", fix=hint or f"expected {MODEL}")


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    visible = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in visible if path.name != "out"][:SHOWN]


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in image_folder.SUFFIXES for path in _children(folder))
