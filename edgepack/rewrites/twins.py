"""What becomes of layers without weights that compute the same from the same tensor?

A net such as NASNet has two ReLUs on the output of a cell, one for each of the next two cells. TensorFlow Lite makes
them one operation, but each has learnt a range of its own; an operation with two ranges stays in float.
"""

from typing import Any, Literal

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, walk

SCOPE: Literal["structure", "quantisation"] = "quantisation"

KINDS = ("Activation", "ReLU", "LeakyReLU", "ELU", "HardSigmoid", "HardSwish")


def apply(graph: Graph) -> list[Change]:
    """Let the consumers of the later ones take the first one's tensor, in place."""
    changes = []
    firsts: dict[Any, str] = {}
    for node in walk(graph):
        if node.kind not in KINDS or node.weights or not called_once(graph, node):
            continue
        first = firsts.setdefault(_work(node), node.name)
        if first == node.name or graph.is_output(node.name):
            continue
        graph.redirect(Ref(node.name), Ref(first))
        graph.remove(node.name)
        changes.append(Change("twins", (node.name, first), f"{first} does the same", (first,)))
    return changes


def _work(node: Node) -> tuple[Any, ...]:
    """What a layer computes, and from what."""
    config = sorted((key, repr(value)) for key, value in node.config.items() if key not in ("name", "trainable"))
    return (node.kind, node.inputs, tuple(config))
