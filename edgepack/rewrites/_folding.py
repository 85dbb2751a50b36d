"""How does ``x * scale + offset`` leave its own layer: into the one before, those behind, or a convolution?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgepack.keras_models.affine import Affine, takes_backward, takes_forward
from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.rewrites._common import called_once

CARRY_SCALE = ("ZeroPadding1D", "ZeroPadding2D")
"""Layers that a factor passes unchanged; an offset does not."""

CARRY = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "Cropping1D", "Cropping2D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D"),
)
"""Layers that factor and offset pass unchanged in inference."""


def _carries(node: Node, affine: Affine) -> bool:
    """True for layers that an affine may move behind: what it does there is the same."""
    if node.kind in CARRY or (node.kind in CARRY_SCALE and not np.any(affine.offset)):
        return node.channels_last
    if node.kind == "Flatten":
        return node.channels_last
    return node.kind == "Reshape" and len(affine.scale) == 1


@dataclass(frozen=True)
class Folded:
    """What takes an affine in, when its own layer goes.

    Attributes:
        taken: The layers that do its work, with their new weights.
        differs: Names of layers whose tensors are others then: those between the affine and these.
    """

    taken: list[Node]
    differs: tuple[str, ...]


def fold(graph: Graph, node: Node, affine: Affine, rank: int | None) -> Folded | None:
    """Work an affine into the layer before its own, else into all layers behind it; None where that is not exact.

    Args:
        graph: Changed in place: ``node`` is gone when it was folded.
        node: The layer that computes the affine.
        affine: What it computes.
        rank: Axes of its tensor, where known.
    """
    folded = _backward(graph, node, affine, rank) or _forward(graph, node, affine)
    if folded is not None:
        for neighbour in folded.taken:
            graph.put(neighbour)
        graph.redirect(Ref(node.name), node.inputs[0])
        graph.remove(node.name)
    return folded


def _backward(graph: Graph, node: Node, affine: Affine, rank: int | None) -> Folded | None:
    before = graph.before(node)
    if before is None or graph.only_consumer(before.name) is not node or not called_once(graph, before):
        return None
    taken = takes_backward(before, affine, rank)
    return None if taken is None else Folded([taken], (before.name,))


def _forward(graph: Graph, node: Node, affine: Affine) -> Folded | None:
    if graph.is_output(node.name):
        return None
    between: list[str] = []
    taken: list[Node] = []
    for reader in _readers(graph, node, affine, between):
        if reader is None or not called_once(graph, reader) or len(reader.inputs) != 1:
            return None
        changed = takes_forward(reader, affine)
        if changed is None:
            return None
        taken.append(changed)
    return Folded(taken, tuple(between)) if taken else None


def _readers(graph: Graph, node: Node, affine: Affine, between: list[str]) -> Iterator[Node | None]:
    """Layers that must take the affine in, None for a path that ends before any; ``between`` gets what it passes."""
    for reader in graph.consumers(node.name):
        if not _carries(reader, affine):
            yield reader
        elif graph.is_output(reader.name) or not graph.consumers(reader.name):
            yield None
        else:
            between.append(reader.name)
            yield from _readers(graph, reader, affine, between)


def depthwise(node: Node, affine: Affine, channels: int, *, trainable: bool) -> Node:
    """A depthwise 1x1 convolution with bias that computes the affine, in place of ``node``."""
    per_channel = affine.channels(channels)
    config = {
        "name": node.name,
        "trainable": trainable,
        "dtype": node.config.get("dtype", "float32"),
        "kernel_size": (1, 1),
        "strides": (1, 1),
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": (1, 1),
        "depth_multiplier": 1,
        "activation": "linear",
        "use_bias": True,
    }
    kernel = per_channel.scale.reshape(1, 1, channels, 1).astype(np.float32)
    weights = (kernel, per_channel.offset.astype(np.float32))
    return Node(node.name, "DepthwiseConv2D", config, node.inputs, {}, weights)
