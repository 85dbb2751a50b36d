"""Which convolution or Dense layer can multiply by its kernel what Rescaling or Normalization would multiply before?"""

from typing import Literal

from edgepack.keras_models.affine import Affine, read
from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, plain_config, walk
from edgepack.rewrites._folding import fold
from edgepack.rewrites._shapes import shapes

SCOPE: Literal["structure", "quantisation"] = "quantisation"
KINDS = ("Rescaling", "Normalization")


def apply(graph: Graph) -> list[Change]:
    """Merge neighbouring scalings, then fold each into the layer before it or those behind it, in place.

    A kernel that becomes much smaller is frozen, see `affine.SMALL`.
    """
    changes = _merged(graph)
    ranks = {ref: len(shape) for ref, shape in shapes(graph).items()}
    for node in walk(graph):
        affine = _scaling(graph, node, ranks)
        if affine is None:
            continue
        folded = fold(graph, node, affine, ranks.get(node.inputs[0]))
        if folded is None:
            continue
        names = tuple(item.name for item in folded.taken)
        frozen = any(item.config.get("trainable") is False for item in folded.taken)
        text = f"its factor and offset are part of {', '.join(names)}"
        text += ", whose weights became so small that they are no longer trained" if frozen else ""
        changes.append(Change("fold_scaling", (node.name, *names), text, names, folded.differs))
    return changes


def _merged(graph: Graph) -> list[Change]:
    """Put each scaling that follows another one alone into that one."""
    changes = []
    ranks = {ref: len(shape) for ref, shape in shapes(graph).items()}
    for node in walk(graph):
        before = graph.before(node)
        if before is None or graph.only_consumer(before.name) is not node:
            continue
        first, second = _scaling(graph, before, ranks), _scaling(graph, node, ranks)
        if first is None or second is None:
            continue
        both = first.then(second)
        config = plain_config(node, scale=both.scale.tolist(), offset=both.offset.tolist())
        graph.put(Node(node.name, "Rescaling", config, before.args))
        graph.remove(before.name)
        changes.append(
            Change("fold_scaling", (before.name, node.name), f"{before.name} is part of {node.name}", (node.name,))
        )
    return changes


def _scaling(graph: Graph, node: Node, ranks: dict[Ref, int]) -> Affine | None:
    if node.kind not in KINDS or not called_once(graph, node) or len(node.inputs) != 1:
        return None
    return read(node, ranks.get(node.inputs[0]))
