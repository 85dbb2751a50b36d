"""Which layers compute ``x * scale + offset``, and what are the weights of a layer that does that as well?"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepack.keras_models.graph import Node

Vector = NDArray[np.float64]

SMALL = 0.25
"""A kernel that shrinks below this share of itself is no longer trained: a learning rate made for the other weights
would wipe it out in a few steps."""


@dataclass(frozen=True)
class Affine:
    """``x * scale + offset``; both of shape (channels,) or (1,), float64."""

    scale: Vector
    offset: Vector

    def then(self, other: "Affine") -> "Affine":
        """This one, and the other behind it."""
        return Affine(self.scale * other.scale, self.offset * other.scale + other.offset)

    def channels(self, count: int) -> "Affine":
        """With one number for each of ``count`` channels; for a flattened tensor the channels repeat.

        Raises:
            ValueError: ``count`` is no multiple of the channels.
        """
        scale, offset = np.broadcast_arrays(self.scale, self.offset)
        if count % len(scale):
            raise ValueError(f"{len(scale)} channels do not fit {count}")
        return Affine(np.tile(scale, count // len(scale)), np.tile(offset, count // len(scale)))


def read(node: Node, rank: int | None = None) -> Affine | None:
    """What a ``Rescaling``, ``Normalization`` or ``BatchNormalization`` computes in inference.

    Args:
        node: Any node; with its own weights, not those of another call.
        rank: Axes of its tensor; where it is unknown, an axis that is not given as -1 is refused.

    Returns:
        None for other layers, and for those that work along another axis than the last.
    """
    if node.kind == "Rescaling":
        return _vectors(node.config["scale"], node.config.get("offset", 0.0))
    if node.kind not in ("Normalization", "BatchNormalization") or not _last_axis(node, rank):
        return None
    return _normalization(node) if node.kind == "Normalization" else _batch_normalization(node)


def _vectors(scale: Any, offset: Any) -> Affine | None:
    scale, offset = np.asarray(scale, np.float64), np.asarray(offset, np.float64)
    if any(value.ndim and value.size != value.shape[-1] for value in (scale, offset)):
        return None
    return Affine(*np.broadcast_arrays(scale.reshape(-1), offset.reshape(-1)))


def _last_axis(node: Node, rank: int | None) -> bool:
    axis = node.config.get("axis", -1)
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    if axes in ([], [None]):  # one mean and one variance for all values
        return True
    return axes == [-1] or (rank is not None and axes == [rank - 1])


def _normalization(node: Node) -> Affine | None:
    """``(x - mean) / max(sqrt(variance), epsilon)`` with Keras' epsilon of 1e-7."""
    config = node.config
    mean, variance = config.get("mean"), config.get("variance")
    if mean is None and len(node.weights) >= 2:
        mean, variance = node.weights[:2]
    if mean is None or variance is None or config.get("invert"):
        return None
    scale = 1 / np.maximum(np.sqrt(np.asarray(variance, np.float64)), 1e-7)
    return _vectors(scale, -np.asarray(mean, np.float64) * scale)


def _batch_normalization(node: Node) -> Affine | None:
    weights = [np.asarray(weight, np.float64) for weight in node.weights]
    if len(weights) < 2:
        return None
    mean, variance = weights[-2:]
    gamma = weights[0] if node.config.get("scale", True) else np.ones_like(mean)
    beta = weights[-3] if node.config.get("center", True) else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + node.config["epsilon"])
    return Affine(scale, beta - mean * scale)


def takes_forward(node: Node, affine: Affine) -> Node | None:
    """The node with the affine in front of it worked into its kernel and bias, or None where that is not exact.

    Zero padding comes after the affine, so that an offset passes a kernel only where nothing is padded.
    """
    if not node.weights or not node.channels_last or int(node.config.get("groups", 1)) != 1:
        return None
    kernel = node.weights[0].astype(np.float64)
    axis = {"Dense": 0, "Conv2DTranspose": 3}.get(node.kind, kernel.ndim - 2)
    if node.kind not in ("Dense", "Conv1D", "Conv2D", "Conv2DTranspose", *DEPTHWISE):
        return None
    try:
        per_channel = affine.channels(kernel.shape[axis])
    except ValueError:
        return None
    shape = [-1 if index == axis else 1 for index in range(kernel.ndim)]
    if not np.any(per_channel.offset):
        added = None
    elif node.kind == "Conv2DTranspose" or (node.kind != "Dense" and _pads(node, kernel)):
        return None
    else:
        added = _through(node, kernel * per_channel.offset.reshape(shape))
    return _with(node, kernel * per_channel.scale.reshape(shape), added, usual=_usual(affine))


def _pads(node: Node, kernel: Vector) -> bool:
    spatial = kernel.shape[:-2]
    return node.config["padding"] != "valid" and any(size > 1 for size in spatial)


def _through(node: Node, products: Vector) -> Vector:
    """What a constant per input channel adds to every output, from the products of kernel and constant."""
    if node.kind not in DEPTHWISE:
        return np.asarray(products.sum(axis=tuple(range(products.ndim - 1))))
    depthwise = np.asarray(products.sum(axis=tuple(range(products.ndim - 2)))).reshape(-1)
    return np.asarray(depthwise @ node.weights[1].reshape(len(depthwise), -1)) if _separable(node) else depthwise


DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")


def _separable(node: Node) -> bool:
    return node.kind.startswith("Separable")


def takes_backward(node: Node, affine: Affine, rank: int | None = None) -> Node | None:
    """The node with the affine behind it worked into its last kernel and bias, or None where that cannot be.

    Args:
        node: Any node with its own weights.
        affine: What is computed behind it.
        rank: Axes of the node's tensor, where known.
    """
    if not node.weights or not node.channels_last:
        return None
    if node.kind == "BatchNormalization":
        return _normalized(node, affine) if len(affine.scale) == 1 or _last_axis(node, rank) else None
    if not node.is_linear or node.kind not in ("Dense", "Conv1D", "Conv2D", "Conv2DTranspose", *DEPTHWISE):
        return None
    last = 1 if _separable(node) else 0
    kernel = node.weights[last].astype(np.float64)
    count = kernel.shape[2] if node.kind == "Conv2DTranspose" else kernel.shape[-1]
    if node.kind.startswith("Depthwise"):
        count = kernel.shape[-2] * kernel.shape[-1]
    try:
        per_channel = affine.channels(count)
    except ValueError:
        return None
    if len(affine.scale) not in (1, count):
        return None
    by = per_channel.scale
    if node.kind == "Conv2DTranspose":
        by = by[:, None]
    elif node.kind.startswith("Depthwise"):
        by = by.reshape(kernel.shape[-2:])
    bias = node.weights[-1].astype(np.float64) if node.config["use_bias"] else np.zeros(count)
    usual = _usual(affine)
    return _with(
        node, kernel * by, bias * per_channel.scale + per_channel.offset, usual=usual, last=last, replaces=True
    )


def _normalized(node: Node, affine: Affine) -> Node | None:
    """BatchNormalization with another factor and offset, its statistics unchanged."""
    mean, variance = node.weights[-2:]
    weights = list(node.weights[:-2])
    gamma = weights.pop(0).astype(np.float64) if node.config.get("scale", True) else np.ones(mean.shape)
    beta = weights.pop(0).astype(np.float64) if node.config.get("center", True) else np.zeros(mean.shape)
    if len(affine.scale) not in (1, len(mean)):
        return None
    gamma, beta = gamma * affine.scale, beta * affine.scale + affine.offset
    new = (gamma.astype(mean.dtype), beta.astype(mean.dtype), mean, variance)
    return replace(node.with_config(scale=True, center=True), weights=new)


def _usual(affine: Affine) -> float:
    return float(np.median(np.abs(affine.scale)))


def _with(
    node: Node, kernel: Vector, bias: Vector | None, *, usual: float, last: int = 0, replaces: bool = False
) -> Node:
    """The node with a new kernel, and a bias that is added to its own, or ``replaces`` it."""
    dtype = node.weights[0].dtype
    weights = list(node.weights)
    weights[last] = kernel.astype(dtype)
    if bias is not None and (np.any(bias) or node.config["use_bias"]):
        if node.config["use_bias"]:
            own = weights.pop().astype(np.float64)
            bias = bias if replaces else own + bias
        node = node.with_config(use_bias=True)
        weights.append(bias.astype(dtype))
    if usual < SMALL:
        node = node.with_config(trainable=False)
    return replace(node, weights=tuple(weights))
