"""What becomes of a Rescaling or Normalization that no neighbour can take?

Mostly one with an offset in front of a convolution that pads with zeros.
"""

from typing import Literal

from edgepack.keras_models.affine import read
from edgepack.keras_models.graph import Graph
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, walk
from edgepack.rewrites._folding import depthwise
from edgepack.rewrites._shapes import shapes

SCOPE: Literal["structure", "quantisation"] = "quantisation"


def apply(graph: Graph) -> list[Change]:
    """Make it a depthwise 1x1 convolution that is not trained, in place; on tensors of shape (n, h, w, c) only."""
    changes = []
    known = shapes(graph)
    for node in walk(graph):
        if node.kind not in ("Rescaling", "Normalization") or not called_once(graph, node):
            continue
        shape = known.get(node.inputs[0])
        if shape is None or len(shape) != 4 or shape[-1] is None:
            continue
        affine = read(node, len(shape))
        if affine is None or shape[-1] % len(affine.scale):
            continue
        graph.put(depthwise(node, affine, shape[-1], trainable=False))
        text = "it is a depthwise 1x1 convolution: no neighbour can take its offset"
        changes.append(Change("scaling_layer", (node.name,), text, (node.name,)))
    return changes
