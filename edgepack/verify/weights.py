"""Do the weights of a ``.tflite`` file hold the zeros, patterns and clusters that the compression steps promised?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.tflite_models.contents import Kernel, kernels
from edgepack.verify.gates import Judgement

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUTS_LAST = ("DEPTHWISE_CONV_2D",)
"""Operations whose weights have the output channels as their last axis; elsewhere it is the first."""


@dataclass(frozen=True)
class Weights:
    """The weights of one operation.

    Attributes:
        operation: The operation that reads them, e.g. ``CONV_2D``.
        tensor: The tensor's name.
        values: What is stored, less the zero point: 0 is zero. Output channels are the first axis, input channels the
            last, except in depthwise convolutions, which have no axis of input channels.
    """

    operation: str
    tensor: str
    values: "NDArray[Any]"

    @property
    def zeros(self) -> int:
        """Number of weights that are zero."""
        return int(np.count_nonzero(self.values == 0))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without axes of size 1, as in `contracts.Promise`."""
        return tuple(size for size in self.values.shape if size != 1)

    @property
    def distinct_per_channel(self) -> int:
        """Largest number of distinct weights in an output channel."""
        return max(len(np.unique(channel)) for channel in self.values)

    def least_zeros(self, group: int) -> int:
        """Least number of zeros in ``group`` consecutive input channels; a shorter last group does not count."""
        whole = self.values.shape[-1] // group * group
        groups = self.values[..., :whole].reshape(-1, group)
        return int((groups == 0).sum(-1).min()) if groups.size else group


def weights(path: Path) -> list[Weights]:
    """The constant weights of all convolution and dense operations of a file, in the order of the operations."""
    return [_weights(kernel) for kernel in kernels(path.read_bytes())]


def _weights(kernel: Kernel) -> Weights:
    wide = np.float64 if kernel.values.dtype.kind == "f" else np.int32
    values = kernel.values.astype(wide) - kernel.zero_point
    if kernel.operation in OUTPUTS_LAST:
        values = np.moveaxis(values, -1, 0)
    return Weights(kernel.operation, kernel.tensor, values)


def summary(stored: Sequence[Weights]) -> dict[str, Any]:
    """Figures of a file's weights for the record: share of zeros, largest number of distinct weights in a channel."""
    total = sum(item.values.size for item in stored)
    return {
        "sparsity": sum(item.zeros for item in stored) / total if total else 0.0,
        "distinct_per_channel": max((item.distinct_per_channel for item in stored), default=0),
        "kernels": len(stored),
    }


def judge(stored: Sequence[Weights], promises: Sequence[Mapping[str, Any]], *, artifact: str) -> list[Judgement]:
    """Hold a file's weights against what the steps promised; of each limit, the worst kernel is told.

    A file does not name its layers. Kernels are told apart by their shape; among those of one shape the kernel that
    holds most must hold what was promised most strictly, the next one the next promise, and so on.

    Args:
        stored: The file's weights.
        promises: See `edgepack.promises.standing`.
        artifact: The file's name.

    Returns:
        ``kept_sparsity`` (share of zeros at least), ``kept_pattern`` (zeros in a group at least) and ``kept_clusters``
        (distinct weights in an output channel at most), each as far as it was promised.
    """
    found = [
        _worst(
            "kept_sparsity",
            artifact,
            _matched(stored, promises, "zeros", lambda p: _share(p["zeros"], p), lambda item, p: _share(item.zeros, p)),
            at_least=True,
        ),
        _worst(
            "kept_pattern",
            artifact,
            _matched(
                stored,
                promises,
                "pattern",
                lambda p: p["pattern"][0],
                lambda item, p: item.least_zeros(p["pattern"][1]),
            ),
            at_least=True,
        ),
        _worst(
            "kept_clusters",
            artifact,
            _matched(stored, promises, "clusters", lambda p: p["clusters"], lambda item, _: item.distinct_per_channel),
            at_least=False,
        ),
    ]
    return [judgement for judgement in found if judgement is not None]


def _share(zeros: int, promise: Mapping[str, Any]) -> float:
    return zeros / int(np.prod(promise["shape"]))


def _matched(
    stored: Sequence[Weights],
    promises: Sequence[Mapping[str, Any]],
    key: str,
    need: Callable[[Mapping[str, Any]], float],
    have: Callable[[Weights, Mapping[str, Any]], float],
) -> list[tuple[Mapping[str, Any], float, float | None]]:
    """For each promise of one kind: the promise, its limit, and what the kernel that it is held against has."""
    pairs: list[tuple[Mapping[str, Any], float, float | None]] = []
    for shape in dict.fromkeys(tuple(promise["shape"]) for promise in promises if promise[key] is not None):
        same = sorted((p for p in promises if tuple(p["shape"]) == shape and p[key] is not None), key=need)
        values: list[float | None] = [*sorted(have(item, same[0]) for item in stored if item.shape == shape)]
        # Kernels of this shape that nothing was promised of hold least zeros, or have most distinct weights.
        values = values[: len(same)] if key == "clusters" else values[max(0, len(values) - len(same)) :]
        values += [None] * (len(same) - len(values))
        pairs += zip(same, map(need, same), values, strict=True)
    return pairs


def _worst(
    gate: str, artifact: str, pairs: Sequence[tuple[Mapping[str, Any], float, float | None]], *, at_least: bool
) -> Judgement | None:
    """The judgement of the kernel that is furthest on the wrong side of its limit."""

    def margin(pair: tuple[Mapping[str, Any], float, float | None]) -> float:
        _, limit, value = pair
        return -np.inf if value is None else (value - limit if at_least else limit - value)

    if not any(limit for _, limit, _ in pairs):
        return None  # nothing was promised, or earlier promises were given up
    worst = min(pairs, key=margin)
    promise, limit, value = worst
    reason = None if value is not None else f"the file has no kernel of the shape of {promise['layer']}"
    return Judgement(
        gate,
        artifact,
        limit,
        value,
        "ok" if margin(worst) >= -1e-9 else "failed",
        reason or f"the kernel nearest to its limit is that of {promise['layer']}",
    )
