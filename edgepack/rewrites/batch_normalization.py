"""What becomes of BatchNormalization that does not follow a convolution?

Behind a convolution that nobody else reads it is folded into the kernel in any case. Elsewhere, as in DenseNet, no
integer operation stands for it.
"""

from typing import Literal

from edgepack.keras_models.affine import read
from edgepack.keras_models.graph import Graph, Node
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import KERNELS, called_once, walk
from edgepack.rewrites._folding import depthwise, fold
from edgepack.rewrites._shapes import shapes

SCOPE: Literal["structure", "quantisation"] = "quantisation"


def apply(graph: Graph) -> list[Change]:
    """Fold it into a neighbour where that is exact, else make it a depthwise 1x1 convolution, in place.

    It uses the moving statistics; on tensors that are not of shape (n, h, w, c) and have no such neighbour it stays.
    """
    changes = []
    known = shapes(graph)
    for node in walk(graph):
        if node.kind != "BatchNormalization" or not called_once(graph, node) or _is_folded(graph, node):
            continue
        shape = known.get(node.inputs[0])
        affine = read(node, len(shape) if shape is not None else None)
        if affine is None:
            continue
        folded = fold(graph, node, affine, len(shape) if shape is not None else None)
        if folded is not None:
            names = tuple(item.name for item in folded.taken)
            text = f"its factor and offset are part of {', '.join(names)}"
            changes.append(Change("batch_normalization", (node.name, *names), text, names, folded.differs))
        elif shape is not None and len(shape) == 4:
            graph.put(depthwise(node, affine, len(affine.scale), trainable=bool(node.config.get("trainable", True))))
            text = "it is a depthwise 1x1 convolution with the moving statistics"
            changes.append(Change("batch_normalization", (node.name,), text, (node.name,)))
    return changes


def _is_folded(graph: Graph, node: Node) -> bool:
    before = graph.before(node)
    if before is None or before.kind not in KERNELS or not before.is_linear or not called_once(graph, before):
        return False
    return graph.only_consumer(before.name) is node
