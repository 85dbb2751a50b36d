"""Where is x multiplied by its own hard-sigmoid, so that TensorFlow Lite's built-in HARD_SWISH does all of it?"""

from typing import Literal

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, drop_unused, factor_and_offset, plain_config, same, upper_limit, walk

SCOPE: Literal["structure", "quantisation"] = "structure"

Found = tuple[Ref, float, tuple[str, ...]]
"""A tensor, the factor between it and the one asked for, and the nodes on the way."""


def apply(graph: Graph) -> list[Change]:
    """Replace ``x * hard_sigmoid(x)``, with its factor of 1/6 at whatever place, in place."""
    changes = []
    for product in walk(graph):
        found = _match(graph, product) if product.kind == "Multiply" and called_once(graph, product) else None
        if found is None:
            continue
        tensor, factor, names = found
        last = product
        after = graph.only_consumer(product.name)
        behind = factor_and_offset(after)
        if after is not None and behind is not None and behind[1] == 0 and same(factor * behind[0], 1):
            last, factor = after, 1.0
        if not same(factor, 1) or not called_once(graph, last):
            continue
        graph.put(Node(last.name, "HardSwish", plain_config(last), (tensor,)))
        drop_unused(graph, [product.name, *(ref.node for ref in product.inputs)])
        parts = tuple(dict.fromkeys((*names, product.name, last.name)))
        changes.append(Change("hard_swish", parts, "x * relu6(x + 3) / 6 is one HardSwish layer", (last.name,)))
    return changes


def _match(graph: Graph, product: Node) -> Found | None:
    """The tensor x and the factor f of a product f * x * hard_sigmoid(x)."""
    if len(product.inputs) != 2:
        return None
    left, right = product.inputs
    for plain, gated in ((left, right), (right, left)):
        for tensor, factor, names in _unscaled(graph, plain):
            for gate, gate_factor, gate_names in _unscaled(graph, gated):
                found = _gate(graph, gate)
                if found is not None and found[0] == tensor:
                    return tensor, factor * gate_factor * found[1], (*names, *gate_names, *found[2])
    return None


def _unscaled(graph: Graph, ref: Ref) -> list[Found]:
    """The tensor itself, and the one before a ``Rescaling`` without offset that made it."""
    node = graph.nodes[ref.node]
    scaled = factor_and_offset(node)
    if scaled is None or scaled[1] != 0:
        return [(ref, 1.0, ())]
    return [(ref, 1.0, ()), (node.inputs[0], scaled[0], (node.name,))]


def _gate(graph: Graph, ref: Ref) -> Found | None:
    """The tensor that a gate looks at; the gate is ``factor`` times its hard-sigmoid."""
    node = graph.nodes[ref.node]
    if node.kind == "HardSigmoid":
        return node.inputs[0], 1.0, (node.name,)
    limit, before = upper_limit(node), graph.before(node)
    inside = factor_and_offset(before)
    if limit is None or inside is None or before is None:
        return None
    if not same(inside[0], limit / 6) or not same(inside[1], limit / 2):
        return None
    return before.inputs[0], limit, (before.name, node.name)
