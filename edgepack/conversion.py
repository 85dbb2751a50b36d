"""How is one model converted on request, apart from a run?"""

import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgepack import extensions, store, worker, worklogs
from edgepack.config import first_message, validate
from edgepack.contracts import Precision
from edgepack.errors import MissingError, RecipeError
from edgepack.formats.tflite import CALIBRATED
from edgepack.recipe import Recipe
from edgepack.stages.request import Request
from edgepack.yamlfile import Document, read


def convert(
    model: Path,
    *,
    format_name: str,
    precision: Precision,
    out: Path,
    data: Path | None,
    custom_objects: Path | None = None,
) -> dict[str, Any]:
    """Convert a saved Keras model to one file, in a process of its own.

    Args:
        model: ``.keras``, ``.h5`` or SavedModel folder.
        format_name: Name of a file in ``edgepack/formats``.
        precision: Number format.
        out: File to write; replaced whole, or left alone on failure.
        data: For int8 and int16x8: a recipe (its ``data`` section) or an ``.npz`` file with ``x`` already preprocessed.
        custom_objects: Python file with the model's own layers and functions.

    Returns:
        ``path``, ``size_bytes``, ``sha256``.

    Raises:
        MissingError: A file is not there, or a calibrated precision was asked for without data.
        RecipeError: The model or the data cannot be read, or do not fit each other.
        ConversionError: The model cannot be converted.
    """
    format_ = extensions.load("edgepack.formats", format_name)
    try:
        format_.Config(precision=precision)
    except ValidationError as error:
        what = f"--precision {precision}: {first_message(error)}"
        raise RecipeError(what, fix="choose another format or precision") from error
    if not model.exists():
        raise MissingError(f"there is no model at {model}", fix="check the path")
    if precision in CALIBRATED and data is None:
        raise MissingError(
            f"{precision} needs real samples for calibration, and none were given",
            fix="--data RECIPE.yaml, or --data samples.npz with an array x of preprocessed inputs",
        )
    section, base = _data_section(data)
    content = {
        "name": "convert",
        "data": section,
        "model": {
            "file": str(model.resolve()),
            "custom_objects": str(custom_objects.resolve()) if custom_objects else None,
        },
        "training": {"epochs": 0},
        "export": [{"format": format_name, "precision": precision}],
        "targets": ["none"],
    }
    recipe = validate(Recipe, Document("edgepack convert", content, {}))
    with store.explain_os_errors(out), tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        made = Path(folder) / "made"
        made.mkdir()
        options = {"calibrated": data is not None}
        request = Request(recipe, base, made, {}, False, lambda _: None, options)
        worker.call("edgepack.stages.convert", request, log_path=worklogs.place("convert"))
        (result,) = made.iterdir()
        out.parent.mkdir(parents=True, exist_ok=True)
        store.write_atomic(out, result.read_bytes())
    return {"path": str(out), "size_bytes": out.stat().st_size, "sha256": store.file_digest(out)}


def _data_section(data: Path | None) -> tuple[dict[str, Any], Path]:
    if data is None:
        return {"npz": "none"}, Path.cwd()
    if not data.exists():
        raise MissingError(f"there is nothing at {data}", fix="check --data")
    if data.suffix == ".npz":
        return {"npz": str(data.resolve())}, Path.cwd()
    if data.suffix not in (".yaml", ".yml"):
        raise RecipeError(f"--data expected a recipe (.yaml) or an .npz file, received {data}", fix="give one of these")
    content = read(data).content
    if "data" not in content:
        raise RecipeError(f"{data} has no section `data`", fix="give a recipe that has one")
    return content["data"], data.resolve().parent
