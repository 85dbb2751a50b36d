"""Which float model does everything else start from?"""

import json
from typing import TYPE_CHECKING, Any

from edgepack import dataset
from edgepack.stages.request import KERAS, Request

if TYPE_CHECKING:
    from edgepack.models._start import Start

LIBRARIES = KERAS


def run(request: Request) -> dict[str, Any]:
    """Build or load the model and train it; writes ``model.h5`` and ``training.json``."""
    from edgepack.keras_models.save import save
    from edgepack.stages.determinism import make_deterministic
    from edgepack.training import distribution, precision
    from edgepack.training.fit import check_fits, evaluate

    recipe = request.recipe
    distribution.strategy(recipe.training.distribution)  # devices are divided before they are used
    make_deterministic(recipe.seed)
    data = dataset.load(request.inputs["data"])
    start = fresh_model(request, data)
    check_fits(start.model, data)
    model, trained, waited = _trained(start, data, request)
    doubt = precision.warning(
        recipe.training.precision, precision.processor_flags(), accelerators=distribution.accelerators()
    )
    record = {
        **trained,
        "warnings": [*start.warnings, *([doubt] if doubt else [])],
        "parameters": int(model.count_params()),
        "layers": len(model.layers),
        "loaded": start.loaded,
        "start_weights": start.record(),
        **evaluate(model, data),
    }
    save(model, request.out / "model.h5")
    (request.out / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    note = "" if waited is None else f"{100 * waited:.1f} % of it waiting for data"
    return {"val_accuracy": record["val_accuracy"], "data_wait": waited, "note": note}


def _trained(start: "Start", data: dataset.Dataset, request: Request) -> tuple[Any, dict[str, Any], float | None]:
    """The trained model, what training.json says of its training, and the share of time spent waiting for data."""
    from edgepack.training import transfer
    from edgepack.training.checkpoints import Places
    from edgepack.training.fit import fit

    training, model = request.recipe.training, start.model
    how: dict[str, Any] = {"seed": request.recipe.seed, "progress": request.progress}
    epochs, places = training.epochs or 0, Places(request.checkpoints, request.logs)
    if training.transfer is not None:
        model = transfer.flat(model)
        done = transfer.fine_tune(
            model, data, training, epochs=epochs, new=start.fresh, smoke=request.smoke, places=places, **how
        )
        return model, {"curve": done.curve, "phases": done.phases, "best_epoch": done.best_epoch}, None
    if not epochs:
        return model, {"curve": ()}, None
    fitted = fit(
        model,
        data,
        training,
        epochs=1 if request.smoke else epochs,
        learning_rate=training.learning_rate,
        schedule=training.schedule,
        label="train",
        place=places.next(),
        **how,
    )
    return model, {"curve": fitted.curve}, fitted.data_wait


def fresh_model(request: Request, data: dataset.Dataset) -> "Start":
    """The recipe's model before its training; tells where its weights are from, and what is doubtful about them."""
    from dataclasses import replace

    from edgepack.keras_models.inspect import require_graph
    from edgepack.keras_models.table import check_columns, feature_shape, with_columns
    from edgepack.models import file
    from edgepack.models._start import begin
    from edgepack.training import transfer

    config, classes = request.recipe.model, data.classes
    if isinstance(config, file.Config):  # it has its layer for the columns of a table already
        start = begin(config, request.base, input_shape=data.input_shape, classes=classes)
        require_graph(start.model)
        check_columns(start.model, data)
    else:
        start = begin(config, request.base, input_shape=feature_shape(data), classes=classes)
        require_graph(start.model)
        start = replace(start, model=with_columns(start.model, data))
    if start.loaded and start.loaded["max_abs_difference"] is not None:
        moved = f"its outputs move by at most {start.loaded['max_abs_difference']:.1e} on random input"
        request.progress({"text": f"saved by Keras {start.loaded['keras']}, rebuilt in Keras 2: {moved}"})
    if not start.source and request.recipe.training.transfer is None:
        return start
    if start.source:
        request.progress({"text": start.sentence()})
    return replace(start, warnings=(*start.warnings, *transfer.warnings(start.values, data)))
