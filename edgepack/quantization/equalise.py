"""How do two layers share the ranges of the channels between them, without the model computing anything else?

Cross-layer range equalisation, Nagel et al., 1906.04721, section 4.1: with ReLU between two layers, ``f(s x) = s f(x)``
for any factor s > 0 of a channel, so that it can move from the first kernel to the second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.keras_models.affine import Affine, takes_backward, takes_forward
from edgepack.keras_models.graph import Graph, Node

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

KINDS = ("Conv2D", "DepthwiseConv2D", "Dense")
THROUGH = ("Dropout", "GlobalAveragePooling2D", "MaxPooling2D", "AveragePooling2D", "SpatialDropout2D", "ZeroPadding2D")
"""Layers that treat each channel alone and keep a positive factor as it is."""

ROUNDS = 40
SETTLED = 1e-3
"""Rounds end when no factor is further from 1 than this."""


@dataclass(frozen=True)
class Pair:
    """Two layers whose channels in between were equalised.

    Attributes:
        first: Name of the layer that makes the channels.
        second: Name of the layer that reads them.
        before: Largest range of a channel of the first kernel over the smallest one that is not 0.
        after: The same afterwards.
    """

    first: str
    second: str
    before: float
    after: float


def equalise(graph: Graph) -> list[Pair]:
    """Equalise every pair of layers with nothing but ReLU and the like between them, in place.

    Pair by pair ``s = sqrt(r1 / r2)``, with the ranges r1 and r2 that the channel has in both kernels, is divided out
    of the first and multiplied into the second (eq. 11), again and again until nothing moves.

    Args:
        graph: Lowered, BatchNormalization folded; see `lower`.
    """
    names = [(first.name, second.name) for first, second in _pairs(graph)]
    before = {pair: _spread(graph.nodes[pair[0]]) for pair in names}
    for _ in range(ROUNDS):
        if not any([_move(graph, *pair) for pair in names]):  # noqa: C419 # every pair has its turn
            break
    return [Pair(*pair, before[pair], _spread(graph.nodes[pair[0]])) for pair in names]


def _pairs(graph: Graph) -> Iterator[tuple[Node, Node]]:
    for node in graph.nodes.values():
        if node.kind not in KINDS or node.shares or len(graph.calls(node.name)) > 1 or not node.channels_last:
            continue
        reader = graph.only_consumer(node.name)
        while reader is not None and len(graph.calls(reader.name)) == 1 and _passes(reader):
            reader = graph.only_consumer(reader.name)
        if reader is not None and reader.kind in KINDS and len(graph.calls(reader.name)) == 1:
            yield node, reader


def _passes(node: Node) -> bool:
    config = node.config
    if node.kind == "ReLU":
        return not config.get("max_value") and not config.get("negative_slope") and not config.get("threshold")
    return node.kind in THROUGH


def _move(graph: Graph, first: str, second: str) -> bool:
    """Equalise one pair; True when a factor was worth it."""
    one, other = graph.nodes[first], graph.nodes[second]
    ranges, read = made_ranges(one), read_ranges(other)
    if len(ranges) != len(read):
        return False
    used = (ranges > 0) & (read > 0)
    factors = np.where(used, np.sqrt(np.where(used, ranges, 1) / np.where(used, read, 1)), 1.0)
    if np.all(np.abs(factors - 1) <= SETTLED):
        return False
    smaller = takes_backward(one, Affine(1 / factors, np.zeros_like(factors)))
    larger = takes_forward(other, Affine(factors, np.zeros_like(factors)))
    if smaller is None or larger is None:
        return False
    for old, new in ((one, smaller), (other, larger)):
        graph.put(new.with_config(trainable=old.config.get("trainable", True)))
    return True


def made_ranges(node: Node) -> "Vector":
    """Largest absolute weight of each output channel, float64 (channels,)."""
    kernel = np.abs(node.weights[0].astype(np.float64))
    if node.kind == "DepthwiseConv2D":
        return np.asarray(kernel.max(axis=(0, 1)).reshape(-1))
    return np.asarray(kernel.reshape(-1, kernel.shape[-1]).max(axis=0))


def read_ranges(node: Node) -> "Vector":
    """Largest absolute weight of each input channel, float64 (channels,)."""
    kernel = np.abs(node.weights[0].astype(np.float64))
    if node.kind == "DepthwiseConv2D":
        return np.asarray(kernel.max(axis=(0, 1, 3)))
    return np.asarray(np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1).max(axis=1))


def _spread(node: Node) -> float:
    ranges = made_ranges(node)
    used = ranges[ranges > 0]
    return float(used.max() / used.min()) if len(used) else 1.0


def equalised(model: Any) -> tuple[Any, list[Pair]]:
    """A copy of a float tf_keras model with BatchNormalization folded and its layers equalised.

    Args:
        model: Sequential or Functional tf_keras model; stays as it is.
    """
    from edgepack.keras_models.graph import from_keras, to_keras
    from edgepack.quantization.lower import fold_batch_normalization, lower

    graph = from_keras(model)
    lower(graph)
    fold_batch_normalization(graph)
    pairs = equalise(graph)
    return to_keras(graph), pairs
