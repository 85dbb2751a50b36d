"""What is the 2-D layer that does on (n, length, 1, channels) what a layer does on (n, length, channels)?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgepack.keras_models.graph import Node


def lifted(node: Node) -> Node | None:
    """The node with its 2-D layer, its inputs unchanged, or None when there is none with the same function.

    Causal convolutions get ``valid``: the padding before them is a layer of its own.
    """
    rule = LIFTS.get(node.kind) or ALONG.get(node.kind)
    return rule(node) if rule else None


def _number(value: Any) -> int:
    return int(value[0]) if isinstance(value, list | tuple) else int(value)


def _convolution(node: Node) -> Node:
    """Steps are equal both ways, as a depthwise convolution wants them; across a width of 1 that is all one."""
    config = dict(node.config)
    stride = _number(config["strides"])
    config["kernel_size"] = (_number(config["kernel_size"]), 1)
    config["strides"] = (stride, stride)
    config["dilation_rate"] = (_number(config["dilation_rate"]), 1)
    config["padding"] = "valid" if config["padding"] == "causal" else config["padding"]
    kernels = 2 if node.kind.startswith("Separable") else 1
    weights = tuple(weight[:, None] if index < kernels else weight for index, weight in enumerate(node.weights))
    return replace(node, kind=node.kind.replace("1D", "2D"), config=config, weights=weights)


def _transposed(node: Node) -> Node | None:
    config = dict(node.config)
    if config.get("output_padding") is not None:
        return None
    config["kernel_size"] = (_number(config["kernel_size"]), 1)
    config["strides"] = (_number(config["strides"]), 1)
    config["dilation_rate"] = (_number(config["dilation_rate"]), 1)
    weights = (node.weights[0][:, None], *node.weights[1:])
    return replace(node, kind="Conv2DTranspose", config=config, weights=weights)


def _pooling(node: Node) -> Node:
    size = _number(node.config["pool_size"])
    strides = node.config.get("strides")
    config = {**node.config, "pool_size": (size, 1), "strides": (size if strides is None else _number(strides), 1)}
    return replace(node, kind=node.kind.replace("1D", "2D"), config=config)


def _sides(key: str) -> Callable[[Node], Node]:
    """The rule for padding and cropping."""

    def rule(node: Node) -> Node:
        value = node.config[key]
        start, end = (value, value) if isinstance(value, int) else value
        config = {**node.config, key: ((int(start), int(end)), (0, 0)), "data_format": "channels_last"}
        return replace(node, kind=node.kind.replace("1D", "2D"), config=config)

    return rule


def _upsampling(node: Node) -> Node:
    config = {**node.config, "size": (_number(node.config["size"]), 1), "data_format": "channels_last"}
    return replace(node, kind="UpSampling2D", config={**config, "interpolation": "nearest"})


def _renamed(node: Node) -> Node:
    return replace(node, kind=node.kind.replace("1D", "2D"))


def _unchanged(node: Node) -> Node:
    return node


def _axis(node: Node) -> Node | None:
    """Layers along one axis: the length stays axis 1, the channels become axis 3."""
    axis = node.config.get("axis", -1)
    if axis is None:
        return node
    single = not isinstance(axis, list | tuple)
    moved = [{-1: -1, 2: 3, 1: 1}.get(int(item)) for item in ([axis] if single else axis)]
    if None in moved:
        return None
    if node.kind in ("BatchNormalization", "Normalization", "Softmax") and 1 in moved:
        return None
    return node.with_config(axis=moved[0] if single else moved)


def _dense(node: Node) -> Node:
    """Dense on the last of three axes is a 1x1 convolution."""
    config = {key: value for key, value in node.config.items() if key != "units"}
    config |= {"filters": node.config["units"], "kernel_size": (1, 1), "strides": (1, 1), "padding": "valid"}
    config |= {"dilation_rate": (1, 1), "groups": 1, "data_format": "channels_last"}
    weights = (node.weights[0][None, None], *node.weights[1:])
    return replace(node, kind="Conv2D", config=config, weights=weights)


LIFTS: dict[str, Callable[[Node], Node | None]] = {
    **dict.fromkeys(("Conv1D", "SeparableConv1D", "DepthwiseConv1D"), _convolution),
    "Conv1DTranspose": _transposed,
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D"), _pooling),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalMaxPooling1D"), _renamed),
    "ZeroPadding1D": _sides("padding"),
    "Cropping1D": _sides("cropping"),
    "UpSampling1D": _upsampling,
}
"""1-D layers, which are always lifted."""

ALONG: dict[str, Callable[[Node], Node | None]] = {
    **dict.fromkeys(
        [
            "Activation",
            "Add",
            "AlphaDropout",
            "Average",
            "Dropout",
            "ELU",
            "GaussianDropout",
            "GaussianNoise",
            "HardSigmoid",
            "HardSwish",
            "LeakyReLU",
            "Maximum",
            "Minimum",
            "Multiply",
            "ReLU",
            "Rescaling",
            "Subtract",
        ],
        _unchanged,
    ),
    **dict.fromkeys(("BatchNormalization", "Concatenate", "LayerNormalization", "Normalization", "Softmax"), _axis),
    "Dense": _dense,
    "SpatialDropout1D": _renamed,
}
"""Layers that are lifted between those."""
