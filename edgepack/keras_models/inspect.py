"""What will happen to each layer of a model, and why?"""

from typing import Any

from edgepack.contracts import LayerNote
from edgepack.errors import RecipeError

NO_WEIGHTS = ("Dropout", "Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "MaxPooling2D")


def quantisation(model: Any) -> list[LayerNote]:
    """Say for each layer whether TFMOT's 8-bit scheme trains it quantised, passes it through, or blocks it.

    The lists of layers are TFMOT's own (`default_8bit_quantize_registry`); on top come the cases that it meets only
    while it transforms the graph: BatchNormalization that stands alone, an activation inside a convolution that is
    followed by BatchNormalization, and models inside models.
    """
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry,
    )

    require_graph(model)
    registry = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
    notes = []
    for layer in model.layers:
        kind = type(layer).__name__
        if isinstance(layer, tf_keras.layers.InputLayer):
            notes.append(LayerNote(layer.name, kind, "passed through", "input"))
        elif isinstance(layer, tf_keras.Model):
            notes.append(LayerNote(layer.name, kind, "blocked", "a model inside a model is not supported by TFMOT"))
        elif isinstance(layer, tf_keras.layers.BatchNormalization):
            notes.append(_batch_normalization(layer, kind))
        elif kind in ("SeparableConv1D", "SeparableConv2D"):
            notes.append(LayerNote(layer.name, kind, "quantised", "split into depthwise and pointwise convolution"))
        elif not registry.supports(layer):
            notes.append(LayerNote(layer.name, kind, "blocked", f"{kind} is not in TFMOT's 8-bit layer list"))
        elif kind in NO_WEIGHTS:
            notes.append(LayerNote(layer.name, kind, "passed through", "moves or drops values, computes none"))
        else:
            notes.append(_supported(layer, kind))
    return notes


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
        elif not PruneRegistry._weight_names(layer):
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


def _batch_normalization(layer: Any, kind: str) -> LayerNote:
    before = _inbound(layer)
    producer = type(before).__name__ if before is not None else "nothing"
    if producer not in ("Conv2D", "DepthwiseConv2D", "Dense", "SeparableConv2D", "SeparableConv1D"):
        return LayerNote(
            layer.name, kind, "blocked", f"stands alone: it follows {producer}, not a convolution or Dense"
        )
    activation = getattr(getattr(before, "activation", None), "__name__", "linear")
    if activation != "linear":
        return LayerNote(
            layer.name,
            kind,
            "blocked",
            f"{before.name} has activation={activation!r} before it, so it cannot be folded",
        )
    if len(before.outbound_nodes) > 1:
        return LayerNote(layer.name, kind, "blocked", f"{before.name} has a second consumer, so it cannot be folded")
    return LayerNote(layer.name, kind, "quantised", f"folded into {before.name}")


def _supported(layer: Any, kind: str) -> LayerNote:
    activation = getattr(getattr(layer, "activation", None), "__name__", None)
    known = ("linear", "relu", "softmax", "sigmoid", "tanh", None)
    if kind == "Activation" and activation not in known:
        return LayerNote(layer.name, kind, "blocked", f"activation {activation!r} is not in TFMOT's 8-bit list")
    return LayerNote(layer.name, kind, "quantised")


def _inbound(layer: Any) -> Any:
    nodes = layer.inbound_nodes
    before = nodes[0].inbound_layers if nodes else None
    return before if before is not None and not isinstance(before, list | tuple) else None
