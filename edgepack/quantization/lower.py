"""How does a model look when every layer is one operation: no activation inside a convolution, nothing separable?

Fake quantisation sits between operations, so they must be apart. Unlike a rewrite this is not worth a word to the user:
TensorFlow Lite puts the same operations together again.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgepack.keras_models.affine import Affine, read, takes_backward
from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.quantization.plan import KERNELS, is_folded

SWISH = ("swish", "silu")
HARD_SIGMOIDS = {"HardSigmoid": (1 / 6, 0.5), "hard_sigmoid": (0.2, 0.5)}
"""Slope and value at 0 of the line that is clipped to [0, 1], by layer and by the name that Keras 2 gives its own."""


def lower(graph: Graph) -> dict[str, str]:
    """Take a graph's composite layers apart, in place.

    Returns:
        For each new node the name of the node that it came from.
    """
    origins: dict[str, str] = {}
    for name in list(graph.nodes):
        for step in STEPS:
            node = graph.nodes[name]
            for new in step(graph, node):
                origins[new] = name
    return origins


def _separable(graph: Graph, node: Node) -> list[str]:
    """SeparableConv2D is a depthwise convolution and a pointwise one."""
    if node.kind != "SeparableConv2D" or len(graph.calls(node.name)) > 1:
        return []
    config = node.config
    shared = ("name", "trainable", "dtype", "data_format")
    depthwise = {
        **{key: config[key] for key in (*shared, "kernel_size", "strides", "padding", "dilation_rate")},
        "depth_multiplier": config["depth_multiplier"],
        "use_bias": False,
        "activation": "linear",
    }
    name = graph.fresh(f"{node.name}_depthwise")
    pointwise = {
        **{key: config[key] for key in (*shared, "filters", "use_bias", "activation")},
        "kernel_size": (1, 1),
    }
    graph.insert_before(
        node.name, Node(name, "DepthwiseConv2D", {**depthwise, "name": name}, node.args, {}, node.weights[:1])
    )
    graph.put(Node(node.name, "Conv2D", pointwise, (Ref(name),), {}, node.weights[1:]))
    return [name]


def _activation(graph: Graph, node: Node) -> list[str]:
    """An activation inside a layer with a kernel becomes a layer behind it."""
    function = node.config.get("activation")
    if node.kind not in KERNELS or function in (None, "linear") or len(graph.calls(node.name)) > 1:
        return []
    name = graph.fresh(f"{node.name}_{function if isinstance(function, str) else 'activation'}")
    dtype = {"dtype": node.config["dtype"]}
    new = Node(name, "Activation", {"name": name, "activation": function, **dtype}, (Ref(node.name),))
    graph.put(node.with_config(activation="linear"))
    graph.insert_after(node.name, new)
    graph.redirect(Ref(node.name), Ref(name))
    made = [part for step in (_relu, _swish, _hard_sigmoid) for part in step(graph, graph.nodes[name])]
    return [name, *made]


def _relu(graph: Graph, node: Node) -> list[str]:
    """``Activation("relu")`` is a ReLU layer."""
    limits = {"relu": None, "relu6": 6.0}
    function = node.config.get("activation")
    if node.kind == "Activation" and isinstance(function, str) and function in limits:
        config = {"name": node.name, "dtype": node.config["dtype"], "max_value": limits[function]}
        graph.put(replace(node, kind="ReLU", config=config))
    return []


def _swish(graph: Graph, node: Node) -> list[str]:
    """Swish is x * sigmoid(x): two operations in TensorFlow Lite."""
    if node.kind != "Activation" or node.config["activation"] not in SWISH or len(graph.calls(node.name)) > 1:
        return []
    name = graph.fresh(f"{node.name}_sigmoid")
    dtype = {"dtype": node.config["dtype"]}
    sigmoid = Node(name, "Activation", {"name": name, "activation": "sigmoid", **dtype}, node.args)
    graph.insert_before(node.name, sigmoid)
    graph.put(Node(node.name, "Multiply", {"name": node.name, **dtype}, ([*node.inputs, Ref(name)],)))
    return [name]


def _hard_sigmoid(graph: Graph, node: Node) -> list[str]:
    """A hard sigmoid behind a kernel is that kernel, scaled, and the clip to [0, 1] that 8 bits do anyway."""
    line = HARD_SIGMOIDS.get(str(node.config.get("activation", node.kind)))
    before = graph.before(node)
    if line is None or before is None or before.kind not in KERNELS or graph.only_consumer(before.name) is not node:
        return []
    if len(graph.calls(before.name)) > 1 or len(graph.calls(node.name)) > 1:
        return []
    if not _take(graph, before, Affine(np.array([line[0]]), np.array([line[1]]))):
        return []
    config = {"name": node.name, "dtype": node.config["dtype"], "low": 0.0, "high": 1.0}
    graph.put(replace(node, kind="Saturation", config=config))
    return []


STEPS: tuple[Callable[[Graph, Node], list[str]], ...] = (_separable, _activation, _relu, _swish, _hard_sigmoid)


def fold_batch_normalization(graph: Graph) -> dict[str, str]:
    """Put BatchNormalization behind a kernel into that kernel and its bias, in place.

    Kernel and bias become ``w * g / s`` and ``(b - m) * g / s + beta`` with ``s = sqrt(variance + epsilon)`` (Jacob et
    al., 1712.05877, section 3.2).

    Returns:
        For each folded node the name of the one that it went into.
    """
    folded = {}
    for name in list(graph.nodes):
        node = graph.nodes[name]
        before = graph.before(node) if is_folded(graph, node) else None
        if before is None or len(graph.calls(before.name)) > 1:
            continue
        if _take(graph, before, read(node, rank=before.weights[0].ndim)):  # of a kernel and of the tensor behind it
            graph.bypass(name)
            folded[name] = before.name
    return folded


def _take(graph: Graph, node: Node, affine: Affine | None) -> bool:
    """Work an affine that follows a kernel into the kernel, in place; False where that cannot be."""
    taken = takes_backward(node, affine) if affine else None
    if taken is None:
        return False
    graph.put(taken.with_config(trainable=node.config.get("trainable", True)))
    return True
