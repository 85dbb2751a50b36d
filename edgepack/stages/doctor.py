"""What will quantisation and pruning do with each layer of a model?"""

from typing import Any

from edgepack import extensions
from edgepack.stages.request import Request


def run(request: Request) -> dict[str, Any]:
    """Inspect the recipe's model, untrained; returns one row a layer."""
    from edgepack.keras_models import inspect
    from edgepack.stages.data import load_raw

    recipe = request.recipe
    kind = extensions.name_of(recipe.model)
    input_shape: tuple[int, ...] = ()
    classes = 0
    if kind != "file":
        raw = load_raw(recipe, request.base)
        input_shape, classes = tuple(raw.train.x.shape[1:]), len(recipe.data.labels or raw.labels)
    source = extensions.load("edgepack.models", kind)
    model = source.build(recipe.model, request.base, input_shape=input_shape, classes=classes)
    layers = [
        {
            "layer": quantisation.layer,
            "class": quantisation.class_name,
            "quantisation": quantisation.status,
            "quantisation_reason": quantisation.reason,
            "pruning": pruning.status,
            "pruning_reason": pruning.reason,
        }
        for quantisation, pruning in zip(inspect.quantisation(model), inspect.pruning(model), strict=True)
    ]
    return {
        "schema": "edgepack.layers/1",
        "model": model.name,
        "parameters": int(model.count_params()),
        "layers": layers,
    }
