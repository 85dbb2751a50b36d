"""How many multiply-accumulate operations and parameters has a model, and how many are left without some channels?

Counted as in published tables: one multiply-accumulate for each use of a weight of a convolution or dense layer for
one sample; biases, BatchNormalization, activations and pooling are not counted.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgepack.channels.symbols import Channels, Shapes, Symbols
from edgepack.errors import RecipeError
from edgepack.keras_models.graph import Graph, Node, Ref

Keep = NDArray[np.bool_]
"""For each unit whether it stays; shape (units,)."""

KERNELS = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "Dense"), 1),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), 1),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), 1),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), 2),
}
"""Number of kernels of each kind of layer; they are its first weights."""


@dataclass(frozen=True)
class Cost:
    """What a model costs for one sample."""

    macs: int
    parameters: int


@dataclass(frozen=True)
class _Weight:
    """One weight: the sizes of the axes that hold no channels, the units of those that do, how often it is used."""

    fixed: int
    axes: tuple[Symbols, ...]
    uses: int

    def size(self, keep: Keep) -> int:
        return self.fixed * prod(int(np.count_nonzero(keep[units])) for units in self.axes)


def cost(graph: Graph, shapes: Shapes) -> Cost:
    """Count a graph as it is.

    Raises:
        RecipeError: A convolution's output has an open size.
    """
    uses = _uses(graph, shapes)
    sizes = {(node.name, index): int(w.size) for node in graph.nodes.values() for index, w in enumerate(node.weights)}
    return Cost(sum(size * uses.get(key, 0) for key, size in sizes.items()), sum(sizes.values()))


def counter(graph: Graph, shapes: Shapes, channels: Channels) -> Callable[[Keep], Cost]:
    """Return a function that counts the graph without the units that are not kept; it builds no model."""
    uses = _uses(graph, shapes)
    slices: dict[tuple[str, int], dict[int, Symbols]] = defaultdict(dict)
    for part in channels.slices:
        slices[(part.node, part.weight)][part.axis] = part.units
    weights = []
    for node in graph.nodes.values():
        for index, weight in enumerate(node.weights):
            axes = slices.get((node.name, index), {})
            fixed = prod(size for axis, size in enumerate(weight.shape) if axis not in axes)
            weights.append(_Weight(fixed, tuple(axes.values()), uses.get((node.name, index), 0)))

    def count(keep: Keep) -> Cost:
        sizes = [weight.size(keep) for weight in weights]
        macs = sum(size * weight.uses for size, weight in zip(sizes, weights, strict=True))
        return Cost(macs, sum(sizes))

    return count


def _uses(graph: Graph, shapes: Shapes) -> Mapping[tuple[str, int], int]:
    """How often each kernel is applied for one sample, over all calls of its layer."""
    found: dict[tuple[str, int], int] = defaultdict(int)
    for node in graph.nodes.values():
        for index in range(KERNELS.get(node.kind, 0)):
            found[(node.shares or node.name, index)] += _positions(node, shapes)
    return found


def _positions(node: Node, shapes: Shapes) -> int:
    """At how many places of one sample a kernel is applied."""
    ref = node.inputs[0] if node.kind.endswith("Transpose") else Ref(node.name)
    shape = shapes[ref]
    first = node.config.get("data_format") == "channels_first"
    places = shape[2:] if first else shape[1:-1]
    if None in places:
        raise RecipeError(
            f"the output of {node.name!r} has the open shape {shape}, so that its operations cannot be counted",
            fix="give the model an input of fixed size",
        )
    return prod(size for size in places if size is not None)
