"""What will happen to each layer of a model, and why?"""

from collections.abc import Collection
from typing import Any

from edgepack.contracts import LayerNote
from edgepack.errors import RecipeError

RANK = ("passed through", "quantised", "blocked")


def quantisation(model: Any, *, in_float: Collection[str] = ()) -> list[LayerNote]:
    """Say for each layer whether it is trained quantised, passes values through, or is computed in float.

    Args:
        model: Sequential or Functional tf_keras model; what `rewriting.rewrite` made of it, if anything was rewritten.
        in_float: Names of layers that the recipe keeps in float.
    """
    from edgepack.keras_models.graph import from_keras
    from edgepack.quantization.apply import decide

    graph, decisions, origins = decide(model, in_float=in_float)
    kinds = {name: node.kind for name, node in from_keras(model).nodes.items()}
    notes: dict[str, LayerNote] = {}
    for name, decision in decisions.items():
        if graph.nodes[name].shares:
            continue
        layer = origins.get(name, name)
        note = LayerNote(layer, kinds[layer], decision.status, decision.reason)
        known = notes.get(layer)
        if known is None or RANK.index(note.status) > RANK.index(known.status):
            notes[layer] = note
    return list(notes.values())


def pruning(model: Any) -> list[LayerNote]:
    """Say for each layer whether TFMOT can prune its weights."""
    import tf_keras
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    require_graph(model)
    notes = []
    for layer in model.layers:
        kind = type(layer).__name__
        if isinstance(layer, tf_keras.Model):
            notes.append(LayerNote(layer.name, kind, "skipped", "a model inside a model is not supported by TFMOT"))
        elif isinstance(layer, tf_keras.layers.InputLayer) or not PruneRegistry.supports(layer):
            reason = "input" if kind == "InputLayer" else f"{kind} is not in TFMOT's pruning list"
            notes.append(LayerNote(layer.name, kind, "skipped", reason))
        elif type(layer) in PruneRegistry._LAYERS_WEIGHTS_MAP and not PruneRegistry._weight_names(layer):
            notes.append(LayerNote(layer.name, kind, "skipped", "no weights that TFMOT prunes"))
        else:
            notes.append(LayerNote(layer.name, kind, "pruned"))
    return notes


def require_graph(model: Any) -> None:
    """Refuse subclassed models, whose layers cannot be rewired.

    Raises:
        RecipeError: The model is neither Sequential nor Functional.
    """
    import tf_keras

    functional = getattr(model, "_is_graph_network", False) or isinstance(model, tf_keras.Sequential)
    if not functional:
        raise RecipeError(
            f"the model {getattr(model, 'name', model)!r} is a {type(model).__name__}; "
            "expected Sequential or Functional",
            fix="build it with tf_keras.Model(inputs, outputs)",
        )
