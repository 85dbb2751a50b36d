"""Which float model does everything else start from?"""

import json
from typing import Any

from edgepack import dataset, extensions
from edgepack.stages.request import Request


def run(request: Request) -> dict[str, Any]:
    """Build or load the model and train it; writes ``model.h5`` and ``training.json``."""
    from edgepack.keras_models.inspect import require_graph
    from edgepack.keras_models.save import save
    from edgepack.stages.determinism import make_deterministic
    from edgepack.training import distribution, precision
    from edgepack.training.checkpoints import Places
    from edgepack.training.fit import Fitted, check_fits, evaluate, fit

    recipe = request.recipe
    distribution.strategy(recipe.training.distribution)  # devices are divided before they are used
    make_deterministic(recipe.seed)
    data = dataset.load(request.inputs["data"])
    model, loaded = fresh_model(request, data)
    require_graph(model)
    check_fits(model, data)
    epochs = recipe.training.epochs or 0
    fitted = Fitted((), 0)
    if epochs:
        fitted = fit(
            model,
            data,
            recipe.training,
            epochs=1 if request.smoke else epochs,
            learning_rate=recipe.training.learning_rate,
            schedule=recipe.training.schedule,
            seed=recipe.seed,
            progress=request.progress,
            label="train",
            checkpoint=Places(request.checkpoints).next(),
        )
    doubt = precision.warning(
        recipe.training.precision, precision.processor_flags(), accelerators=distribution.accelerators()
    )
    record = {
        "curve": fitted.curve,
        "warnings": [doubt] if doubt else [],
        "parameters": int(model.count_params()),
        "layers": len(model.layers),
        "loaded": loaded,
        **evaluate(model, data),
    }
    save(model, request.out / "model.h5")
    (request.out / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    waited = fitted.data_wait
    note = "" if waited is None else f"{100 * waited:.1f} % of it waiting for data"
    return {"val_accuracy": record["val_accuracy"], "data_wait": waited, "note": note}


def fresh_model(request: Request, data: dataset.Dataset) -> tuple[Any, dict[str, Any] | None]:
    """The recipe's model, and for one from a file which Keras wrote it and how far it moved on the way in."""
    from edgepack.models import file

    recipe = request.recipe
    if isinstance(recipe.model, file.Config):
        found = file.load(recipe.model, request.base)
        if found.max_abs_difference is not None:
            moved = f"its outputs move by at most {found.max_abs_difference:.1e} on random input"
            request.progress({"text": f"saved by Keras {found.keras_version}, rebuilt in Keras 2: {moved}"})
        return found.model, {"keras": found.keras_version, "max_abs_difference": found.max_abs_difference}
    source = extensions.load("edgepack.models", extensions.name_of(recipe.model))
    return source.build(recipe.model, request.base, input_shape=data.input_shape, classes=data.classes), None
