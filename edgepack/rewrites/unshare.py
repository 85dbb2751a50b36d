"""How does each call of a layer without weights get a layer of its own?

``relu = ReLU()`` that is called ten times computes the same as ten layers; other rewrites and TFMOT need them apart.
"""

from dataclasses import replace
from typing import Literal

from edgepack.keras_models.graph import Graph
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import walk

SCOPE: Literal["structure", "quantisation"] = "structure"


def apply(graph: Graph) -> list[Change]:
    """Take repeated calls apart, in place; layers with weights and users' own layers stay shared."""
    changes = []
    for node in walk(graph):
        if node.shares is None or node.kind in graph.custom:
            continue
        owner = graph.nodes[node.shares]
        if owner.weights:
            continue
        graph.put(replace(node, shares=None, config={**owner.config, "name": node.name}))
        changes.append(
            Change("unshare", (owner.name,), f"its further call is a layer of its own: {node.name}", (node.name,))
        )
    return changes
