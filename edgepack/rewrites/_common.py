"""What do rewrites ask of a graph, again and again?"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from edgepack.keras_models.graph import Graph, Node

KERNELS = ("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Dense")
"""Layers with a kernel behind which TensorFlow Lite folds BatchNormalization."""


def walk(graph: Graph) -> Iterator[Node]:
    """Every node as it is when its turn comes, while the graph is changed; nodes that are new then are left out."""
    for name in list(graph.nodes):
        if name in graph.nodes:
            yield graph.nodes[name]


def plain_config(node: Node, name: str = "", **more: Any) -> dict[str, Any]:
    """The configuration that every layer has, taken from a node, for a new layer in its place."""
    config = {"name": name or node.name, "trainable": True, "dtype": node.config.get("dtype", "float32")}
    return {**config, **more}


def called_once(graph: Graph, node: Node) -> bool:
    """True when no other call shares the node's layer, so that the layer may be changed."""
    return len(graph.calls(node.name)) == 1


def same(value: float, expected: float) -> bool:
    """True when two numbers differ by no more than float32 rounding."""
    return math.isclose(value, expected, rel_tol=1e-5, abs_tol=1e-7)


def scalar(value: Any) -> float | None:
    """The number that a constant holds, or None when it holds several."""
    import numpy as np

    array = np.asarray(value)
    return float(array.reshape(())) if array.size == 1 and array.dtype.kind in "fiu" else None


def factor_and_offset(node: Node | None) -> tuple[float, float] | None:
    """The two numbers of a ``Rescaling`` layer; None for every other node and for a number per channel."""
    if node is None or node.kind != "Rescaling":
        return None
    scale, offset = scalar(node.config["scale"]), scalar(node.config.get("offset", 0.0))
    return None if scale is None or offset is None else (scale, offset)


def upper_limit(node: Node) -> float | None:
    """The limit of a ReLU that has one and is otherwise plain, such as 6 for ReLU6."""
    config = node.config
    if node.kind == "Activation" and config.get("activation") == "relu6":
        return 6.0
    if node.kind != "ReLU" or config.get("max_value") is None:
        return None
    bent = any(float(config.get(key) or 0.0) for key in ("negative_slope", "threshold"))
    return None if bent else scalar(config["max_value"])


def drop_unused(graph: Graph, names: Sequence[str]) -> None:
    """Remove the named nodes, and what only they took tensors from, as far as nobody needs them any more."""
    for name in names:
        node = graph.nodes.get(name)
        if node is None or node.kind == "InputLayer" or graph.is_output(name) or graph.consumers(name):
            continue
        if any(other.shares == name for other in graph.nodes.values()):
            continue
        graph.remove(name)
        drop_unused(graph, [ref.node for ref in node.inputs])
