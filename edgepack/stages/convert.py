"""What does one saved model become, without training or verification?"""

import tempfile
from pathlib import Path
from typing import Any

from edgepack import dataset, extensions
from edgepack.contracts import ExportContext, Precision
from edgepack.errors import RecipeError
from edgepack.keras_models.table import check_columns, columns_of
from edgepack.stages.data import load_raw, prepare
from edgepack.stages.request import COMPRESSION, Request
from edgepack.techniques._post_training import CALIBRATION_SAMPLES

LIBRARIES = COMPRESSION


def run(request: Request) -> dict[str, Any]:
    """Convert the model of the recipe's ``model.file`` with its only export.

    ``options["calibrated"]``: whether the recipe's data are real; else nothing needs them.
    """
    import numpy as np

    from edgepack.keras_models.inspect import require_graph
    from edgepack.keras_models.load import load
    from edgepack.keras_models.save import save
    from edgepack.stages.determinism import make_deterministic
    from edgepack.techniques._layers import is_quantised

    make_deterministic(request.recipe.seed)
    model = load(Path(request.recipe.model.file))  # type: ignore[attr-defined]
    require_graph(model)
    (config,) = request.recipe.export
    if is_quantised(model) and config.precision != "int8":
        raise RecipeError(
            f"the model is fake-quantised, from which int8 is made; received precision {config.precision}",
            fix="give the float model from before `use: qat`, or ask for int8",
        )
    calibration = np.zeros((0,), dtype=np.float32)
    if request.options["calibrated"]:
        calibration = _calibration(request, model)
        _check_shape(model, calibration)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.h5"
        save(model, source)

        def other(kind: str, precision: Precision) -> Path:
            format_ = extensions.load("edgepack.formats", kind)
            path = Path(folder) / f"model.{precision}.{format_.SUFFIX}"
            format_.convert(format_.Config(precision=precision), path, context=context)
            return path

        quantised = source if is_quantised(model) else None
        context = ExportContext(source, quantised, calibration, other, model.name)
        format_ = extensions.load("edgepack.formats", extensions.name_of(config))
        format_.convert(config, request.out / f"model.{config.precision}.{format_.SUFFIX}", context=context)
    return {}


def _calibration(request: Request, model: Any) -> Any:
    """The first samples of the data; of a table in columns training samples, in the model's own codes."""
    if columns_of(model) and (request.recipe.data.table or request.recipe.data.select_features):
        data = prepare(request.recipe, request.base).data
        check_columns(model, data)
        return data.calibration(CALIBRATION_SAMPLES)
    raw = load_raw(request.recipe, request.base)
    return dataset.preprocess(raw.train.x[:CALIBRATION_SAMPLES], request.recipe.data.preprocessing)


def _check_shape(model: Any, samples: Any) -> None:
    expected, received = tuple(model.inputs[0].shape[1:]), samples.shape[1:]
    if len(expected) != len(received) or any(e not in (None, r) for e, r in zip(expected, received, strict=True)):
        raise RecipeError(
            f"the model takes inputs of shape {expected}, but the samples of --data have {received}",
            fix="give samples as the model takes them",
        )
