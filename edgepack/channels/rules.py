"""What does each kind of layer do to the channels of its inputs?

A rule returns the symbols of the layer's output, or a sentence that says why it cannot: then everything that the
layer takes and gives is left whole.
"""

from collections.abc import Callable

import numpy as np

from edgepack.channels.symbols import Symbols, Walk
from edgepack.keras_models import layers
from edgepack.keras_models.graph import Node, Ref

Rule = Callable[[Walk, Node, list[Symbols]], "Symbols | str"]

ELEMENTWISE_ACTIVATIONS = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "mish", "sigmoid", "hard_sigmoid",
    "hard_swish", "hard_silu", "tanh", "softplus", "softsign", "exponential",
}  # fmt: skip

KEEPING = {
    "Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", *layers.NAMES,
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization",
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D",
    "UpSampling1D", "UpSampling2D", "UpSampling3D",
}  # fmt: skip
"""Layers without weights whose output channel c depends on input channel c alone."""

UNITING = {"Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply"}

ELEMENTWISE_OPERATIONS = {
    "__operators__.add", "math.add", "math.subtract", "math.multiply", "math.divide", "math.maximum", "math.minimum",
    "math.sigmoid", "math.tanh", "math.abs", "math.square", "math.sqrt", "math.exp", "math.negative", "identity",
    "cast", "nn.relu", "nn.relu6", "nn.elu", "nn.silu", "nn.swish", "nn.gelu", "nn.sigmoid", "nn.tanh", "clip_by_value",
}  # fmt: skip
"""Functions inside a ``TFOpLambda`` that are computed value by value."""


def apply(walk: Walk, node: Node) -> list[Symbols]:
    """The symbols of a node's outputs; a node without a rule freezes what it takes and gives."""
    inputs = [walk.tensors[ref] for ref in node.inputs]
    outputs = [ref for ref in walk.shapes if ref.node == node.name]
    rule = None if node.kind in walk.graph.custom else _rule(node.kind)
    made: Symbols | str = f"{node.name} ({node.kind}) is not understood"
    if node.config.get("data_format") == "channels_first":
        made = f"{node.name} has its channels first"
    elif rule is not None:
        made = rule(walk, node, inputs)
    if isinstance(made, str):
        for symbols in inputs:
            walk.freeze(symbols, made)
        fresh = [walk.new(walk.shape(ref)[-1] or 0 if walk.shape(ref) else 0) for ref in outputs]
        for symbols in fresh:
            walk.freeze(symbols, made)
        return fresh
    reason = _mixed(node)
    if reason:
        walk.freeze(made, reason)
    return [made]


def _rule(kind: str) -> Rule | None:
    if kind in KEEPING:
        return _keep
    if kind in UNITING:
        return _unite
    return RULES.get(kind)


def _mixed(node: Node) -> str | None:
    """Why the activation of a layer needs all of its channels, or None when it looks at each value alone."""
    activation = node.config.get("activation", "linear")
    if isinstance(activation, dict):
        activation = activation.get("config") if isinstance(activation.get("config"), str) else "a custom one"
    if activation is None or activation in ELEMENTWISE_ACTIVATIONS:
        return None
    if activation == "softmax":
        return f"{node.name} is a softmax over them"
    return f"{node.name}'s activation {activation!r} is not understood"


def _input(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols:
    made = walk.new(walk.shape(Ref(node.name))[-1] or 0)
    walk.freeze(made, "the model's input")
    return made


def _keep(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    return inputs[0]


def _unite(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    widest = max(inputs, key=len)
    for symbols in inputs:
        if len(symbols) == len(widest):
            walk.unite(widest, symbols)
        elif len(symbols) == 1:
            walk.freeze(symbols, f"{node.name} spreads it over all channels")
        else:
            return f"{node.name} has inputs of {sorted({len(part) for part in inputs})} channels"
    return widest


def _concatenate(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    rank = len(walk.shape(node.inputs[0]))
    if int(node.config.get("axis", -1)) % rank == rank - 1:
        return np.concatenate(inputs)
    return _unite(walk, node, inputs)


def _convolution(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    if int(node.config.get("groups", 1)) != 1:
        return f"{node.name} is a convolution in groups"
    return _contraction(walk, node, inputs[0], kernel=0, size_key="filters")


def _dense(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    return _contraction(walk, node, inputs[0], kernel=0, size_key="units")


def _contraction(
    walk: Walk, node: Node, taken: Symbols, *, kernel: int, size_key: str, axes: tuple[int, int] = (-2, -1)
) -> Symbols:
    """A kernel (..., in, out) that sums over all channels; its bias, when there is one, comes next."""
    weights = walk.weights(node)
    walk.slice(node, kernel, axes[0], taken, "takes")
    made = walk.new(weights[kernel].shape[axes[1]])
    walk.slice(node, kernel, axes[1], made, "makes")
    if node.config.get("use_bias", True):
        walk.slice(node, kernel + 1, 0, made, "follows")
    walk.size(node, size_key, made)
    return made


def _transposed(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    return _contraction(walk, node, inputs[0], kernel=0, size_key="filters", axes=(-1, -2))


def _depthwise(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    walk.slice(node, 0, -2, inputs[0], "follows")
    # Output channel c * multiplier + m comes from input channel c.
    made = np.repeat(inputs[0], int(node.config.get("depth_multiplier", 1)))
    if node.config.get("use_bias", True):
        walk.slice(node, 1, 0, made, "follows")
    return made


def _separable(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    walk.slice(node, 0, -2, inputs[0], "follows")
    between = np.repeat(inputs[0], int(node.config.get("depth_multiplier", 1)))
    return _contraction(walk, node, between, kernel=1, size_key="filters")


def _batch_normalization(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    axis = node.config.get("axis", -1)
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = len(walk.shape(node.inputs[0]))
    if [int(item) % rank for item in axes] != [rank - 1]:
        return f"{node.name} does not normalise the last axis"
    for weight in range(len(walk.weights(node))):
        walk.slice(node, weight, 0, inputs[0], "follows")
    return inputs[0]


def _prelu(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    if walk.weights(node)[0].shape[-1] == len(inputs[0]):
        walk.slice(node, 0, -1, inputs[0], "follows")
    return inputs[0]


def _rescaling(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    if np.ndim(node.config.get("scale", 1.0)) or np.ndim(node.config.get("offset", 0.0)):
        return f"{node.name} has a factor for each channel"
    return inputs[0]


def _softmax(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    return f"{node.name} is a softmax over them"


def _flatten(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    width = walk.shape(Ref(node.name))[-1]
    if width is None or not len(inputs[0]):
        return f"{node.name} flattens an open size"
    return np.tile(inputs[0], width // len(inputs[0]))


def _reshape(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    before, after = len(inputs[0]), walk.shape(Ref(node.name))[-1]
    if not before or not after or after % before:
        return f"{node.name} mixes channels and positions"
    made = np.tile(inputs[0], after // before)
    target = tuple(node.config["target_shape"])
    if target[-1] != -1:
        walk.size(node, "target_shape", made, index=len(target) - 1)
    return made


def _operation(walk: Walk, node: Node, inputs: list[Symbols]) -> Symbols | str:
    function = str(node.config.get("function"))
    constants = [item for item in (*node.args, *node.kwargs.values()) if not isinstance(item, Ref)]
    if function not in ELEMENTWISE_OPERATIONS or any(np.ndim(item) for item in constants):
        return f"{node.name} (TensorFlow's {function}) is not understood"
    return _unite(walk, node, inputs)


RULES: dict[str, Rule] = {
    "InputLayer": _input,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "Conv2DTranspose": _transposed,
    "Conv3DTranspose": _transposed,
    "Dense": _dense,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "BatchNormalization": _batch_normalization,
    "SyncBatchNormalization": _batch_normalization,
    "PReLU": _prelu,
    "Rescaling": _rescaling,
    "Softmax": _softmax,
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "TFOpLambda": _operation,
}
