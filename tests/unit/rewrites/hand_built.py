"""Graphs written down by hand, and what they compute, in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgepack.keras_models.graph import Graph, Node, Ref

CONVOLUTION = {
    "kernel_size": (1, 1),
    "strides": (1, 1),
    "padding": "valid",
    "dilation_rate": (1, 1),
    "groups": 1,
    "use_bias": True,
    "activation": "linear",
    "data_format": "channels_last",
}
RELU = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
RNG = np.random.default_rng(7)


def graph(shape: tuple[int | None, ...], *nodes: Node, outputs: tuple[str, ...] = ()) -> Graph:
    """A graph with the input ``x`` of that shape, without batch axis; its output is the last node's tensor."""
    start = Node("x", "InputLayer", {"batch_input_shape": (None, *shape), "dtype": "float32"})
    refs = tuple(Ref(name) for name in outputs or (nodes[-1].name,))
    return Graph("by_hand", {node.name: node for node in (start, *nodes)}, ("x",), refs)


def node(name: str, kind: str, *sources: str, weights: tuple[Any, ...] = (), **config: Any) -> Node:
    """A layer on the tensors of other nodes."""
    refs = [Ref(source) for source in sources]
    args = (refs,) if len(refs) > 1 else (refs[0],)
    arrays = tuple(np.asarray(weight, np.float32) for weight in weights)
    return Node(name, kind, {"name": name, "dtype": "float32", **config}, args, {}, arrays)


def convolution(name: str, source: str, size: int, channels: int, filters: int, **config: Any) -> Node:
    """Conv2D with random weights and a bias."""
    weights = (RNG.normal(size=(size, size, channels, filters)), RNG.normal(size=filters))
    config = {**CONVOLUTION, "kernel_size": (size, size), "filters": filters, **config}
    return node(name, "Conv2D", source, weights=weights, **config)


def dense(name: str, source: str, inputs: int, units: int, **config: Any) -> Node:
    """Dense with random weights and a bias."""
    weights = (RNG.normal(size=(inputs, units)), RNG.normal(size=units))
    return node(
        name, "Dense", source, weights=weights, **{"units": units, "use_bias": True, "activation": "linear"} | config
    )


def normalization(name: str, source: str, channels: int, **config: Any) -> Node:
    """BatchNormalization along the last axis with statistics that are not 0 and 1."""
    weights = (*RNG.normal(1, 0.2, (2, channels)), RNG.normal(size=channels), RNG.uniform(0.5, 2, channels))
    config = {"axis": -1, "epsilon": 1e-3, "scale": True, "center": True, **config}
    return node(name, "BatchNormalization", source, weights=weights, **config)


def values(made: Graph, x: Any) -> list[Any]:
    """The outputs of a graph for one input."""
    tensors: dict[str, Any] = {"x": np.asarray(x, np.float64)}
    for item in made.nodes.values():
        if item.kind != "InputLayer":
            inputs = [tensors[ref.node] for ref in item.inputs]
            tensors[item.name] = COMPUTE[item.kind](item, *inputs)
    return [tensors[ref.node] for ref in made.outputs]


def kinds(made: Graph) -> list[str]:
    """Classes of all nodes but the input, in order."""
    return [item.kind for item in made.nodes.values() if item.kind != "InputLayer"]


def _windows(item: Node, x: Any) -> Any:
    """All windows of a convolution: (n, h, w, channels, rows, columns)."""
    rows, columns = item.config["kernel_size"]
    if item.config["padding"] == "same":
        before = ((rows - 1) // 2, (columns - 1) // 2)
        x = np.pad(x, ((0, 0), (before[0], rows - 1 - before[0]), (before[1], columns - 1 - before[1]), (0, 0)))
    return sliding_window_view(x, (rows, columns), axis=(1, 2))


def _bias(item: Node) -> Any:
    return item.weights[-1] if item.config["use_bias"] else 0.0


def _conv(item: Node, x: Any) -> Any:
    return _active(item, np.einsum("nhwcij,ijcf->nhwf", _windows(item, x), item.weights[0]) + _bias(item))


def _depthwise(item: Node, x: Any) -> Any:
    y = np.einsum("nhwcij,ijcm->nhwcm", _windows(item, x), item.weights[0])
    return _active(item, y.reshape(*y.shape[:3], -1) + _bias(item))


def _separable(item: Node, x: Any) -> Any:
    y = np.einsum("nhwcij,ijcm->nhwcm", _windows(item, x), item.weights[0])
    return _active(item, y.reshape(*y.shape[:3], -1) @ item.weights[1][0, 0] + _bias(item))


def _active(item: Node, y: Any) -> Any:
    function = item.config["activation"]
    return {"linear": y, "relu": np.maximum(y, 0), "sigmoid": 1 / (1 + np.exp(-y))}[function]


def _relu(item: Node, x: Any) -> Any:
    return np.clip(x, 0, item.config["max_value"])


def _batch_normalization(item: Node, x: Any) -> Any:
    gamma, beta, mean, variance = item.weights
    return (x - mean) / np.sqrt(variance + item.config["epsilon"]) * gamma + beta


def _normalization(item: Node, x: Any) -> Any:
    return (x - np.asarray(item.config["mean"])) / np.sqrt(np.asarray(item.config["variance"]))


COMPUTE: dict[str, Callable[..., Any]] = {
    "Activation": lambda item, x: _active(item, x),
    "Add": lambda item, *xs: sum(xs),
    "BatchNormalization": _batch_normalization,
    "Conv2D": _conv,
    "Dense": lambda item, x: _active(item, x @ item.weights[0] + _bias(item)),
    "DepthwiseConv2D": _depthwise,
    "Flatten": lambda item, x: x.reshape(len(x), -1),
    "HardSigmoid": lambda item, x: np.clip(x + 3, 0, 6) / 6,
    "HardSwish": lambda item, x: x * np.clip(x + 3, 0, 6) / 6,
    "Multiply": lambda item, x, y: x * y,
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": lambda item, x: x * np.asarray(item.config["scale"]) + np.asarray(item.config["offset"]),
    "SeparableConv2D": _separable,
    "ZeroPadding2D": lambda item, x: np.pad(x, ((0, 0), *item.config["padding"], (0, 0))),
}
