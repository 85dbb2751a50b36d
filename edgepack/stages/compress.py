"""What does one compression step make of the model before it?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from edgepack import dataset, extensions
from edgepack.contracts import TechniqueConfig, TechniqueContext
from edgepack.stages.request import COMPRESSION, Request

LIBRARIES = COMPRESSION


def run(request: Request) -> dict[str, Any]:
    """Apply the step ``options["step"]`` to the model of ``inputs["model"]``; writes ``step.json`` and ``model.h5``.

    The figures in ``step.json`` begin with the accuracy before the step, which the stage before has measured.
    A post-training step leaves the model alone, so that there is no ``model.h5``. ``inputs["trained"]`` is the trained
    float model, before any step.
    """
    from edgepack.keras_models.load import load_own
    from edgepack.keras_models.save import save
    from edgepack.stages.determinism import make_deterministic
    from edgepack.training import distribution
    from edgepack.training.checkpoints import Places
    from edgepack.training.fit import evaluate

    recipe = request.recipe
    distribution.strategy(recipe.training.distribution)  # devices are divided before they are used
    make_deterministic(recipe.seed)
    config = recipe.compress[request.options["step"]]
    technique = technique_name(config)
    if request.smoke and "epochs" in type(config).model_fields:
        config = config.model_copy(update={"epochs": 1})
    data = dataset.load(request.inputs["data"])
    model = load_own(request.inputs["model"] / "model.h5")
    before = _accuracy(request.inputs["model"])
    if before is None:
        before = evaluate(model, data)["val_accuracy"]
    context = TechniqueContext(
        training=recipe.training.for_steps(),
        seed=recipe.seed,
        progress=request.progress,
        base=request.base,
        float_model=request.inputs["trained"] / "model.h5",
        smoke=request.smoke,
        places=Places(request.checkpoints, request.logs),
        max_accuracy_drop=None if request.smoke else recipe.gates.max_accuracy_drop,
    )
    result = extensions.load("edgepack.techniques", technique).apply(model, data, config, context=context)
    metrics = {"val_accuracy_before": before, **result.metrics}
    record = {
        "use": technique,
        "quantised": result.quantised,
        "precision": result.precision,
        "curve": list(result.curve),
        "metrics": metrics,
        "rewrites": list(result.rewrites),
        "warnings": list(result.warnings),
        "layers": [_note(asdict(note)) for note in result.layers],
        "promises": [asdict(promise) for promise in result.promises],
        "int8": result.int8.to_dict() if result.int8 else None,
    }
    if result.precision is None:
        save(result.model, request.out / "model.h5")
    (request.out / "step.json").write_text(json.dumps(record, indent=1) + "\n")
    return metrics


def _accuracy(made: Path) -> float | None:
    """Validation accuracy of the model in a stage's folder, as a fraction; None where that stage does not say."""
    step, training = made / "step.json", made / "training.json"
    if step.exists():
        return cast(float | None, json.loads(step.read_text())["metrics"].get("val_accuracy_after"))
    return cast(float, json.loads(training.read_text())["val_accuracy"])


def technique_name(config: TechniqueConfig) -> str:
    """The name of the technique that a step's configuration belongs to."""
    return extensions.name_of(config)


def _note(note: dict[str, str]) -> dict[str, str]:
    return {
        "layer": note["layer"],
        "class": note["class_name"],
        "status": note["status"],
        "reason": note["reason"],
    }
