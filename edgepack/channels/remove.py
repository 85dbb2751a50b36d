"""What is left of a graph when some of its channels are taken out?"""

from dataclasses import replace
from typing import Any

import numpy as np

from edgepack.channels.macs import Keep
from edgepack.channels.symbols import Channels
from edgepack.keras_models.graph import Graph


def remove(graph: Graph, channels: Channels, keep: Keep) -> Graph:
    """Return the graph without the units that are not kept; weights are cut, nothing is set to zero.

    The new graph computes what the old one does when the removed channels count as zero wherever they are summed over
    (see `masked`).

    Args:
        graph: The graph that ``channels`` was traced on; it stays as it is.
        channels: Its channels.
        keep: For each unit whether it stays, bool of shape (units,).
    """
    made = graph.copy()
    weights = {name: list(node.weights) for name, node in graph.nodes.items() if node.weights}
    for part in channels.slices:
        kept = np.flatnonzero(keep[part.units])
        if len(kept) < len(part.units):
            weights[part.node][part.weight] = np.take(weights[part.node][part.weight], kept, axis=part.axis)
    for name, arrays in weights.items():
        made.put(replace(made.nodes[name], weights=tuple(arrays)))
    for size in channels.sizes:
        count = int(np.count_nonzero(keep[size.units]))
        value: Any = count
        node = made.nodes[size.node]
        if size.index is not None:
            value = tuple(count if i == size.index else v for i, v in enumerate(node.config[size.key]))
        made.put(node.with_config(**{size.key: value}))
    return made


def masked(graph: Graph, channels: Channels, keep: Keep) -> Graph:
    """Return the graph in its full size with the removed channels multiplied by zero wherever they are summed over."""
    made = graph.copy()
    for part in channels.slices:
        if part.role == "takes":
            node = made.nodes[part.node]
            weight = node.weights[part.weight]
            along = [1] * weight.ndim
            along[part.axis] = -1
            cleared = weight * keep[part.units].reshape(along).astype(weight.dtype)
            made.put(replace(node, weights=(*node.weights[: part.weight], cleared, *node.weights[part.weight + 1 :])))
    return made
