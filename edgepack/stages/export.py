"""Which files does the compressed model become?"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgepack import dataset, extensions
from edgepack.contracts import ExportContext, Int8, Precision
from edgepack.keras_models.memory import release
from edgepack.stages.request import COMPRESSION, Request
from edgepack.techniques._post_training import CALIBRATION_SAMPLES

LIBRARIES = COMPRESSION


def run(request: Request) -> dict[str, Any]:
    """Convert every export of the recipe; writes ``model.<precision>.<suffix>`` and the Keras outputs to compare with.

    ``options``: ``float_model`` and, when the recipe quantises in training, ``quantised_model`` (paths of ``.h5``
    files); ``calibration_samples`` by precision, where a step of the recipe says how many; ``int8``: how int8
    files are made; ``ready``: folders in which ``model.<precision>.tflite`` has been made from these very
    models, by precision.
    """
    import numpy as np

    from edgepack.keras_models.load import load_own
    from edgepack.stages.determinism import make_deterministic
    from edgepack.training.fit import predict

    recipe = request.recipe
    make_deterministic(recipe.seed)
    data = dataset.load(request.inputs["data"])
    float_model = Path(request.options["float_model"])
    quantised = request.options.get("quantised_model")
    calibrated: dict[str, int] = request.options["calibration_samples"]
    ready: dict[str, str] = request.options["ready"]
    configs = {(_format(config), config.precision): config for config in recipe.export}
    context = ExportContext(
        float_model=float_model,
        quantised_model=Path(quantised) if quantised else None,
        calibration=data.calibration(CALIBRATION_SAMPLES),
        other=lambda kind, precision: make(kind, precision, derived=_is_special(configs.get((kind, precision)))),
        name=recipe.name,
        labels=data.labels,
        preprocessing=data.preprocessing,
        int8=Int8.from_dict(request.options["int8"]),
    )

    def make(kind: str, precision: Precision, *, derived: bool = False) -> Path:
        format_ = extensions.load("edgepack.formats", kind)
        # A file that only another format needs stays out of the results, and is as it comes.
        folder = request.out if (kind, precision) in configs and not derived else Path(extra)
        path = folder / f"model.{precision}.{format_.SUFFIX}"
        if path.exists():
            return path
        config = configs.get((kind, precision)) if not derived else None
        config = config or format_.Config(precision=precision)
        request.progress({"label": "export", "text": path.name})
        made_before = Path(ready[precision]) / path.name if precision in ready else None
        if kind == "tflite" and not _is_special(config) and made_before is not None and made_before.exists():
            shutil.copyfile(made_before, path)
            return path
        samples = calibrated.get(precision)
        own = context if samples is None else replace(context, calibration=data.calibration(samples))
        format_.convert(config, path, context=own)
        release()
        return path

    with tempfile.TemporaryDirectory() as extra:
        made = [make(kind, precision).name for kind, precision in configs]
    compared = {"baseline": request.options["baseline"], "float": str(float_model), "quantised": quantised}
    outputs: dict[str, Any] = {}
    for name, path in compared.items():
        if path:
            if path not in outputs:
                outputs[path] = predict(load_own(Path(path)), data, "test", recipe.verify.samples)
            np.save(request.out / f"keras.{name}.npy", outputs[path])
    return {"artifacts": made}


def _is_special(config: Any) -> bool:
    """Whether an export asks for more than its format and precision."""
    return config is not None and config != type(config)(precision=config.precision)


def _format(config: Any) -> str:
    return extensions.name_of(config)
