"""Which channels of which tensors and weights are one and the same?

Each position on the last axis of a tensor carries a symbol, an integer. Layers make symbols, keep them or unite them
(`edgepack.channels.rules`); symbols that were united can only be removed together. What "coupled" means follows
DepGraph (Fang et al., 2301.12900), found here by following the channels themselves rather than pairs of layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgepack.keras_models.graph import Graph, Node, Ref

Symbols = NDArray[np.int64]
Shapes = Mapping[Ref, tuple[int | None, ...]]
"""Shape of every tensor of a graph, batch axis included; None where a size is open."""

Role = Literal["makes", "follows", "takes"]
"""What a weight's axis is to channels: it ``makes`` them, ``follows`` them (a bias, BatchNormalization, a depthwise
kernel) or ``takes`` them in (summed over, so that a removed channel is one summand less)."""


@dataclass(frozen=True)
class Slice:
    """The channels along one axis of one weight.

    Attributes:
        node: Name of the node that owns the weight.
        weight: Its index in `Node.weights`.
        axis: Axis of the weight.
        role: What the axis is to the channels.
        units: Unit of each index of the axis, int64 of shape (size of the axis,).
    """

    node: str
    weight: int
    axis: int
    role: Role
    units: Symbols


@dataclass(frozen=True)
class Size:
    """A number of channels that stands in a layer's configuration (``filters``, ``units``, ``target_shape``).

    ``index`` is the place in the configuration's tuple, or None when the value is the number itself.
    """

    node: str
    key: str
    units: Symbols
    index: int | None = None


@dataclass(frozen=True)
class Channels:
    """Every channel of a graph; a unit is a set of channels that can only be removed together.

    Attributes:
        count: Number of units; they are called 0, 1, ... count - 1.
        slices: Where units appear in weights.
        sizes: Where their number appears in configurations.
        frozen: Units that must stay, with the reason.
        tensors: Unit of each channel of each tensor, int64 of shape (channels,).
    """

    count: int
    slices: tuple[Slice, ...]
    sizes: tuple[Size, ...]
    frozen: Mapping[int, str]
    tensors: Mapping[Ref, Symbols]


@dataclass
class Walk:
    """Symbols while a graph is walked; `edgepack.channels.rules` speaks to this."""

    graph: Graph
    shapes: Shapes
    tensors: dict[Ref, Symbols] = field(default_factory=dict)
    slices: dict[tuple[str, int, int], tuple[Role, Symbols]] = field(default_factory=dict)
    sizes: dict[tuple[str, str], tuple[int | None, Symbols]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)

    def new(self, count: int) -> Symbols:
        """Fresh symbols."""
        start = len(self.parents)
        self.parents.extend(range(start, start + count))
        return np.arange(start, start + count, dtype=np.int64)

    def root(self, symbol: int) -> int:
        """The symbol that stands for all those united with this one."""
        while self.parents[symbol] != symbol:
            self.parents[symbol] = self.parents[self.parents[symbol]]
            symbol = self.parents[symbol]
        return symbol

    def unite(self, first: Symbols, second: Symbols) -> None:
        """Declare two arrays of symbols the same channels, one by one."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((self.root(one), self.root(other)))
            self.parents[high] = low

    def freeze(self, symbols: Symbols, reason: str) -> None:
        """Declare that these channels must stay; the first reason is the one that is told."""
        for symbol in symbols.tolist():
            self.reasons.setdefault(symbol, reason)

    def slice(self, node: Node, weight: int, axis: int, symbols: Symbols, role: Role) -> None:
        """Note the channels of a weight's axis; a layer that is called again unites them with its first call's."""
        owner = self.graph.nodes[node.shares or node.name]
        axis %= owner.weights[weight].ndim
        assert owner.weights[weight].shape[axis] == len(symbols), f"{owner.name}: weight {weight}, axis {axis}"
        _, before = self.slices.setdefault((owner.name, weight, axis), (role, symbols))
        if before is not symbols:
            self.unite(before, symbols)

    def size(self, node: Node, key: str, symbols: Symbols, index: int | None = None) -> None:
        """Note that a configuration holds the number of these channels."""
        self.sizes[(node.name, key)] = (index, symbols)

    def weights(self, node: Node) -> tuple[Any, ...]:
        """The weights of a call's layer, also when an earlier call owns them."""
        return self.graph.nodes[node.shares or node.name].weights

    def shape(self, ref: Ref) -> tuple[int | None, ...]:
        """Shape of a tensor."""
        return self.shapes[ref]

    def finish(self) -> Channels:
        """Number what is the same, and say which of it must stay."""
        roots = np.asarray([self.root(symbol) for symbol in range(len(self.parents))], dtype=np.int64)
        units = np.unique(roots, return_inverse=True)[1].astype(np.int64)
        frozen: dict[int, str] = {}
        for symbol, reason in self.reasons.items():
            frozen.setdefault(int(units[symbol]), reason)
        return Channels(
            count=int(units.max()) + 1 if len(units) else 0,
            slices=tuple(
                Slice(node, weight, axis, role, units[symbols])
                for (node, weight, axis), (role, symbols) in self.slices.items()
            ),
            sizes=tuple(Size(node, key, units[symbols], index) for (node, key), (index, symbols) in self.sizes.items()),
            frozen=frozen,
            tensors={ref: units[symbols] for ref, symbols in self.tensors.items()},
        )


def trace(graph: Graph, shapes: Shapes, *, exclude: tuple[str, ...] = ()) -> Channels:
    """Follow every channel of a graph from where it is made to where it is summed over.

    Args:
        graph: The model; channels are its tensors' last axis.
        shapes: Shapes of its tensors, see `edgepack.channels.shapes.tensor_shapes`.
        exclude: Names of layers whose output channels must stay.
    """
    from edgepack.channels import rules

    walk = Walk(graph, shapes)
    for node in graph.nodes.values():
        made = rules.apply(walk, node)
        for index, symbols in enumerate(made):
            walk.tensors[Ref(node.name, index)] = symbols
            if node.name in exclude or node.shares in exclude:
                walk.freeze(symbols, "excluded by the recipe")
    # Of several reasons this one says most, so it comes first.
    given_out = {int(symbol): "the model's output" for ref in graph.outputs for symbol in walk.tensors[ref]}
    walk.reasons = {**given_out, **{symbol: why for symbol, why in walk.reasons.items() if symbol not in given_out}}
    return walk.finish()
