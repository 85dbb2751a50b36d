"""Where do three layers compute relu6(x + 3) / 6, and could be one?

MobileNetV3 (Howard et al., 1905.02244) writes its gates as ``x + 3``, ReLU6 and a factor of 1/6.
"""

from typing import Literal

from edgepack.keras_models.graph import Graph, Node
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, drop_unused, factor_and_offset, plain_config, same, upper_limit, walk

SCOPE: Literal["structure", "quantisation"] = "structure"


def apply(graph: Graph) -> list[Change]:
    """Replace them, in place; a part that others use as well stays for those."""
    changes = []
    for relu in walk(graph):
        limit, before = upper_limit(relu), graph.before(relu)
        inside = factor_and_offset(before)
        if limit is None or inside is None or before is None:
            continue
        for last, factor in _ends(graph, relu):
            # factor * clip(a x + b, 0, limit) is hard-sigmoid when it rises to 1, with slope 1/6, from 1/2 at 0
            fits = same(factor * limit, 1) and same(factor * inside[0], 1 / 6) and same(factor * inside[1], 0.5)
            if not fits or not called_once(graph, last):
                continue
            graph.put(Node(last.name, "HardSigmoid", plain_config(last), before.args))
            drop_unused(graph, [relu.name, before.name])
            names = tuple(dict.fromkeys((before.name, relu.name, last.name)))
            changes.append(Change("hard_sigmoid", names, "relu6(x + 3) / 6 is one HardSigmoid layer", (last.name,)))
    return changes


def _ends(graph: Graph, relu: Node) -> list[tuple[Node, float]]:
    """Nodes that may end the pattern, with the factor that they bring: the ReLU itself, or a Rescaling behind it."""
    ends = [(relu, 1.0)]
    for after in graph.consumers(relu.name):
        found = factor_and_offset(after)
        if found is not None and found[1] == 0:
            ends.append((after, found[0]))
    return ends
