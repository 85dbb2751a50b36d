"""What do the model and the samples that a user names look like, and which preprocessing brings them together?"""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepack import userfiles
from edgepack.contracts import Preprocessing
from edgepack.data import image_folder
from edgepack.data.csv import MANY
from edgepack.dataset import Dataset, preprocess
from edgepack.errors import RecipeError
from edgepack.models import artifacts, file
from edgepack.recipe import only_model
from edgepack.stages.data import prepare
from edgepack.stages.request import Request

TRIED = 200
"""Samples on which a model is asked with each preprocessing."""

LEAST, MOST, SMALL = 16, 96, 48
"""Sides of images, pixels: a folder's own between the first two; larger than the third it is the second."""

IDENTIFIERS = ("id", "index", "key", "")
"""Names of columns that number the lines."""


@dataclass(frozen=True)
class _Model:
    """A model of a file: shapes without the batch axis (None = any size), and how it answers samples."""

    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    keras: str
    raw_columns: bool
    answers: Callable[[NDArray[np.float32]], NDArray[Any]]


def run(request: Request) -> dict[str, Any]:
    """Look at ``options``: ``data``, a section that is begun, and ``zoo``, the name of an architecture or None.

    The recipe's model is looked at unless it is one of the zoo or a function, which exist only for given samples.

    Returns:
        ``data``, the section completed with all that the samples need; ``samples``, what they are; ``model``, what a
        file takes and gives, or None; ``tried``, preprocessings with the share of samples that the model gets right.

    Raises:
        RecipeError: Model or data cannot be read, or do not fit each other.
        MissingError: They are not there.
    """
    model = _model(request)
    section = dict(request.options["data"])
    _complete(section, request.base, model, request.options["zoo"])
    request.progress({"label": "init", "text": "reading the samples"})
    data = prepare(only_model({"zoo": "mlp"}, section), request.base).data
    if model is not None:
        _check_shape(model, data)
    tried = _tried(model, data, request) if model is not None and not data.columns else []
    return {
        "data": section,
        "samples": _samples(data),
        "model": None if model is None else {
            "input_shape": list(model.input_shape), "output_shape": list(model.output_shape), "keras": model.keras,
        },
        "tried": tried,
    }  # fmt: skip


def _model(request: Request) -> _Model | None:
    config = request.recipe.model
    if isinstance(config, file.Config):
        return _keras(config, request)
    if isinstance(config, artifacts.Config):
        return _finished(artifacts.find(config.artifacts[0], request.base))
    return None


def _keras(config: file.Config, request: Request) -> _Model:
    from edgepack.keras_models.inspect import require_graph
    from edgepack.keras_models.table import columns_of

    request.progress({"label": "init", "text": f"reading {Path(config.file).name} with Keras"})
    loaded = file.load(config, request.base)
    model = loaded.model
    require_graph(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise RecipeError(
            f"{config.file} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of each",
            fix="save the part of it that has a single input and a single output",
        )
    return _Model(
        tuple(model.inputs[0].shape[1:]),
        tuple(model.outputs[0].shape[1:]),
        loaded.keras_version,
        bool(columns_of(model)),
        lambda x: np.asarray(model(x, training=False)),
    )


def _finished(path: Path) -> _Model:
    from edgepack.runner.errors import RunnerError
    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import for_file, open_session

    try:
        runtime = for_file(path)
        with open_session(runtime, path) as session:
            inputs, outputs = session.inputs, session.outputs
    except RunnerError as error:
        raise RecipeError(f"{path} cannot be run: {error}", fix="make or copy the file again") from error
    if len(inputs) != 1 or len(outputs) != 1:
        raise RecipeError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; expected one of each",
            fix="make it from a model with a single input and a single output",
        )

    def answers(x: NDArray[np.float32]) -> NDArray[Any]:
        with open_session(runtime, path) as session:
            return predict(session, x)[1]

    shape = tuple(None if size < 0 else size for size in inputs[0].sample_shape[1:])
    return _Model(shape, tuple(None if size < 0 else size for size in outputs[0].shape[1:]), "", False, answers)


def _complete(section: dict[str, Any], base: Path, model: _Model | None, zoo: str | None) -> None:
    """Add what the source needs besides its name, as the model or the samples themselves have it."""
    if "sklearn" in section:
        _complete_built_in(section, model, zoo)
    elif "image_folder" in section:
        root = userfiles.find(section["image_folder"], base, what="data.image_folder")
        section |= _of_images(root, model)
    elif "idx" in section and "fashion" in section["idx"].lower():
        section["fallback"] = "fashion_mnist"
    elif "csv" in section:
        _complete_csv(section, userfiles.find(section["csv"], base, what="data.csv"), model)


def _complete_built_in(section: dict[str, Any], model: _Model | None, zoo: str | None) -> None:
    if model is not None and len(model.input_shape) == 3 and section["sklearn"] == "digits":
        section["image_shape"] = [size or free for size, free in zip(model.input_shape, (8, 8, 1), strict=True)]
    elif model is None and section["sklearn"] == "digits" and zoo not in ("mlp", "autoencoder"):
        section["image_shape"] = [8, 8, 1]
    elif section["sklearn"] != "digits" and (model is None or model.raw_columns):
        section["table"] = {}


def _of_images(root: Path, model: _Model | None) -> dict[str, Any]:
    """Size and channels: those of the model, where it says so, else what suits the images."""
    from PIL import Image

    wanted = model.input_shape if model and len(model.input_shape) == 3 else (None, None, None)
    if wanted[0] in (1, 3) and wanted[2] not in (1, 3):  # channels first, as in many .onnx files
        wanted = (wanted[1], wanted[2], wanted[0])
    sides, grey = [], []
    for path in [path for path in sorted(root.rglob("*")) if path.suffix.lower() in image_folder.SUFFIXES][::7][:TRIED]:
        try:
            with Image.open(path) as image:
                sides.append(min(image.size))
                grey.append(image.mode in ("1", "L", "LA", "I;16"))
        except OSError:
            continue  # reading all samples says it with the file's name
    usual = Counter(sides).most_common(1)[0][0] if sides else MOST
    side = max(usual, LEAST) if usual <= SMALL else MOST
    channels = wanted[2] or (1 if grey and all(grey) else 3)
    return {"size": [wanted[0] or side, wanted[1] or side], "channels": channels}


def _complete_csv(section: dict[str, Any], path: Path, model: _Model | None) -> None:
    """The target, the last column unless it is named, and columns that no model can learn from."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        header, *lines = [row for row in csv.reader(stream) if row] or [[]]
    names = [name.strip() for name in header]
    if not names:
        raise RecipeError(f"{path} is empty", fix="expected a line with the names of the columns, then the samples")
    section.setdefault("target", names[-1])
    if model is not None and not model.raw_columns:
        section["table"] = None
        return
    ignored = [
        name
        for place, name in enumerate(names)
        if name != section["target"] and _says_nothing(name, [row[place] for row in lines if len(row) == len(names)])
    ]
    if ignored:
        section["table"] = {"columns": {name: {"type": "ignore"} for name in ignored}}


def _says_nothing(name: str, texts: Sequence[str]) -> bool:
    """One value only, names of single samples, or their numbers."""
    different = len({text.strip() for text in texts})
    if different <= 1:
        return True
    if different == len(texts) and name.strip().casefold() in IDENTIFIERS:
        return True
    return different > MANY and different > len(texts) / 2 and not all(map(_is_number, texts))


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _check_shape(model: _Model, data: Dataset) -> None:
    shape = model.input_shape
    turned = (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape
    if not any(_fits(data.input_shape, wanted) for wanted in (shape, turned)):
        raise RecipeError(
            f"the model takes samples of shape {written(shape)}, but the data have {written(data.input_shape)}",
            fix="give the data that the model was made for, in its shape (axes of size 1 count, too)",
        )


def _fits(given: tuple[int, ...], wanted: Sequence[int | None]) -> bool:
    return len(given) == len(wanted) and all(size in (None, have) for size, have in zip(wanted, given, strict=True))


def written(shape: Sequence[int | None]) -> str:
    """A shape for people, without the batch axis."""
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _samples(data: Dataset) -> dict[str, Any]:
    x = data.train.x[:2000]
    return {
        "shape": list(data.input_shape),
        "dtype": str(x.dtype),
        "low": float(np.nanmin(x)),
        "high": float(np.nanmax(x)),
        "labels": list(data.labels),
        "columns": len(data.columns),
        "counts": {name: len(getattr(data, name).y) for name in ("train", "validation", "test")},
    }


def scale_of(low: float, high: float) -> float:
    """The number by which values are divided so that they lie within about -1 to 1."""
    reach = max(abs(low), abs(high))
    if reach <= 2:
        return 1.0
    return next((float(step) for step in (16, 255, 65535) if reach <= step), float(f"{reach:.3g}"))


def candidates(low: float, high: float) -> list[dict[str, float]]:
    """Preprocessings that are usual for values of a range, the most usual first."""
    divisor = scale_of(low, high)
    if low < 0:
        found = [(1 / divisor, 0.0), (1.0, 0.0)]
    elif divisor > 1:
        found = [(1 / divisor, 0.0), (1.0, 0.0), (2 / divisor, -1.0)]
    else:
        found = [(1.0, 0.0), (2.0, -1.0), (255.0, 0.0)]
    return [{"scale": scale, "offset": offset} for scale, offset in dict.fromkeys(found)]


def _tried(model: _Model, data: Dataset, request: Request) -> list[dict[str, Any]]:
    """The share of samples that the model gets right with each candidate; empty where classes are others."""
    if _classes(model.output_shape) != data.classes:
        return []
    request.progress({"label": "init", "text": "asking the model with each usual preprocessing"})
    x, y = data.test.x[:TRIED], data.test.y[:TRIED]
    turned = not _fits(data.input_shape, model.input_shape)  # channels first
    found = []
    for candidate in candidates(float(np.nanmin(data.train.x[:2000])), float(np.nanmax(data.train.x[:2000]))):
        fed = preprocess(x, Preprocessing(**candidate))
        answers = model.answers(np.moveaxis(fed, -1, 1) if turned else fed).reshape(len(x), -1)
        found.append({**candidate, "right": float(np.mean(answers.argmax(axis=1) == y)), "samples": len(x)})
    return found


def _classes(output_shape: Sequence[int | None]) -> int | None:
    """The number of classes of an output; axes of size 1 do not count."""
    sizes = [size for size in output_shape if size != 1]
    return sizes[0] if len(sizes) == 1 else None


def facts_fit(model: Mapping[str, Any], classes: int) -> bool:
    """Whether a model, as `run` describes it, has an output for each class."""
    return _classes(model["output_shape"]) == classes
