"""Which units of channels may be weighed against each other?"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from edgepack.channels.symbols import Channels, Symbols


@dataclass(frozen=True)
class Group:
    """Units that the same layers make together, for example all convolutions that end in one chain of residual adds.

    Attributes:
        units: Removable units, int64 of shape (n,).
        producers: Names of the layers that make their channels, in the graph's order.
    """

    units: Symbols
    producers: tuple[str, ...]


@dataclass(frozen=True)
class LeftAlone:
    """A layer some of whose output channels must stay, and why."""

    layer: str
    channels: int
    reason: str


def removable(channels: Channels) -> list[Group]:
    """Groups of units that can be removed, in the order of their first producer."""
    makers = _makers(channels)
    order = {node: index for index, node in enumerate(_producers(channels))}
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for unit, nodes in makers.items():
        if unit not in channels.frozen:
            found[tuple(sorted(nodes, key=order.__getitem__))].append(unit)
    groups = [Group(np.asarray(sorted(units), dtype=np.int64), producers) for producers, units in found.items()]
    return sorted(groups, key=lambda group: (order[group.producers[0]], int(group.units[0])))


def left_alone(channels: Channels) -> list[LeftAlone]:
    """Layers that make channels that must stay, with the first reason of each."""
    found = []
    for part in channels.slices:
        if part.role == "makes":
            fixed = [unit for unit in part.units.tolist() if unit in channels.frozen]
            if fixed:
                found.append(LeftAlone(part.node, len(fixed), channels.frozen[fixed[0]]))
    return found


def _makers(channels: Channels) -> dict[int, set[str]]:
    makers: dict[int, set[str]] = defaultdict(set)
    for part in channels.slices:
        if part.role == "makes":
            for unit in part.units.tolist():
                makers[unit].add(part.node)
    return makers


def _producers(channels: Channels) -> list[str]:
    return [part.node for part in channels.slices if part.role == "makes"]
