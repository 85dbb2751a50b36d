"""Which activations inside a convolution or Dense layer must be layers of their own to be quantised as they are?

TensorFlow Lite fuses ReLU into the operation before it and nothing else; and an activation between a convolution and
its BatchNormalization keeps that from being folded, of which TFMOT says nothing.
"""

from dataclasses import replace
from typing import Literal

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, plain_config, walk

SCOPE: Literal["structure", "quantisation"] = "quantisation"
KINDS = ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense")


def apply(graph: Graph) -> list[Change]:
    """Split them, in place. A layer whose tensor the model gives out hands its name on, so that the output keeps it."""
    changes = []
    for node in walk(graph):
        if node.kind not in KINDS or node.is_linear or not called_once(graph, node) or _stays(graph, node):
            continue
        function = node.config["activation"]
        said = function if isinstance(function, str) else "activation"
        if graph.is_output(node.name):
            kernel, split = _split_output(graph, node, said)
        else:
            kernel, split = node.name, graph.fresh(f"{node.name}_{said}")
            graph.put(node.with_config(activation="linear"))
            graph.insert_after(node.name, _layer(node, split, node.name))
            graph.redirect(Ref(node.name), Ref(split))
        text = f"its activation {said} is a layer of its own"
        changes.append(Change("activation", (node.name,), text, (kernel, split), differs=(node.name,)))
    return changes


def _stays(graph: Graph, node: Node) -> bool:
    """True for ReLU, unless BatchNormalization follows, and for the softmax at the end."""
    function = node.config["activation"]
    if function == "softmax":
        return graph.is_output(node.name)
    return function == "relu" and not any(after.kind == "BatchNormalization" for after in graph.consumers(node.name))


def _layer(node: Node, name: str, source: str) -> Node:
    """The activation of a node as a layer."""
    function = node.config["activation"]
    if function in ("relu", "relu6"):
        config = plain_config(node, name, max_value=6.0 if function == "relu6" else None)
        return Node(name, "ReLU", {**config, "negative_slope": 0.0, "threshold": 0.0}, (Ref(source),))
    return Node(name, "Activation", plain_config(node, name, activation=function), (Ref(source),))


def _split_output(graph: Graph, node: Node, said: str) -> tuple[str, str]:
    kernel = graph.fresh(f"{node.name}_before_{said}")
    graph.insert_before(node.name, replace(node.with_config(activation="linear", name=kernel), name=kernel))
    graph.put(_layer(node, node.name, kernel))
    return kernel, node.name
