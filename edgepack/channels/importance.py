"""How much does each unit of channels matter?

Every measure returns one non-negative number for each unit; larger matters more.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgepack.channels.groups import Group
from edgepack.channels.symbols import Channels, Slice
from edgepack.keras_models.graph import Graph

Scores = NDArray[np.float64]
"""One number for each unit, shape (units,)."""

Gradients = Mapping[tuple[str, int], NDArray[np.float32]]
"""Gradient of the loss for each weight, by owner and index; of the weight's shape."""


def l1(graph: Graph, channels: Channels, groups: Sequence[Group]) -> Scores:
    """Mean magnitude of the weights that make a unit, over all of its makers, relative to the mean of its group.

    Li et al., "Pruning filters for efficient ConvNets", 1608.08710; relative, so that groups compare.
    """
    return _relative(_average(graph, channels, [part for part in channels.slices if part.role == "makes"]), groups)


def batch_norm(graph: Graph, channels: Channels, groups: Sequence[Group]) -> Scores:
    """Mean magnitude of the BatchNormalization factors (gamma) that a unit passes.

    Liu et al., "Network slimming", 1708.06519. A group whose channels pass none is weighed by `l1`, scaled to the
    mean factor of the others.
    """
    gammas = [
        part
        for part in channels.slices
        if part.weight == 0
        and graph.nodes[part.node].kind.endswith("BatchNormalization")
        and graph.nodes[part.node].config.get("scale", True)
    ]
    scores = _average(graph, channels, gammas)
    passed = np.zeros(channels.count, dtype=bool)
    for part in gammas:
        passed[part.units] = True
    removable = np.concatenate([group.units for group in groups]) if groups else np.zeros(0, dtype=np.int64)
    measured = removable[passed[removable]]
    usual = float(scores[measured].mean()) if len(measured) else 1.0
    return np.asarray(np.where(passed, scores, l1(graph, channels, groups) * usual), dtype=np.float64)


def taylor(graph: Graph, channels: Channels, batches: Iterable[Gradients]) -> Scores:
    """Estimated change of the loss without a unit, squared, averaged over batches.

    Molchanov et al., "Importance estimation for neural network pruning", 1906.10771, eq. 8, where removing is what
    `edgepack.channels.remove.remove` does: the weights that sum over a unit become zero. To first order the loss
    changes by minus the sum of these weights times their gradients, which counts every layer that takes the unit,
    and no layer that only passes it on.
    """
    total, count = np.zeros(channels.count), 0
    takes = [part for part in channels.slices if part.role == "takes"]
    for gradients in batches:
        change = np.zeros(channels.count)
        for part in takes:
            weight = graph.nodes[part.node].weights[part.weight]
            product = np.multiply(weight, gradients[(part.node, part.weight)], dtype=np.float64)
            np.add.at(change, part.units, _over_other_axes(product, part.axis).sum(axis=1))
        total += change**2
        count += 1
    return total / max(count, 1)


def _average(graph: Graph, channels: Channels, parts: Sequence[Slice]) -> Scores:
    """Mean magnitude of all weights in the given slices, unit by unit; 0 for a unit in none of them."""
    total, count = np.zeros(channels.count), np.zeros(channels.count)
    for part in parts:
        rows = _over_other_axes(np.abs(graph.nodes[part.node].weights[part.weight]), part.axis)
        np.add.at(total, part.units, rows.sum(axis=1, dtype=np.float64))
        np.add.at(count, part.units, rows.shape[1])
    return np.asarray(np.divide(total, count, out=np.zeros_like(total), where=count > 0), dtype=np.float64)


def _over_other_axes(values: NDArray[np.generic], axis: int) -> NDArray[np.float64]:
    """The values of each index of an axis as one row."""
    return np.asarray(np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1), dtype=np.float64)


def _relative(scores: Scores, groups: Sequence[Group]) -> Scores:
    made = np.zeros_like(scores)
    for group in groups:
        mean = scores[group.units].mean()
        made[group.units] = scores[group.units] / mean if mean > 0 else 1.0
    return made
