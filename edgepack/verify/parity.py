"""How far apart are two sets of outputs for the same samples?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT_TOLERANCE = 1e-3
"""Largest difference between a float32 artifact and Keras, relative to the largest output."""


@dataclass(frozen=True)
class Difference:
    """Two sets of outputs of shape (samples, classes), compared.

    Attributes:
        samples: Number of samples.
        top1_agreement: Share of samples with the same largest output, in [0, 1].
        max_abs: Largest absolute difference of any output.
        sqnr_db: Signal to quantisation noise ratio of ``b`` against ``a`` in decibels; None when they are equal.
    """

    samples: int
    top1_agreement: float
    max_abs: float
    sqnr_db: float | None


def compare(a: NDArray[np.float32], b: NDArray[np.float32]) -> Difference:
    """Compare outputs ``b`` with reference outputs ``a``, both float32 of shape (samples, classes)."""
    noise = float(np.sum((a.astype(np.float64) - b) ** 2))
    signal = float(np.sum(a.astype(np.float64) ** 2))
    return Difference(
        samples=len(a),
        top1_agreement=float(np.mean(a.argmax(-1) == b.argmax(-1))),
        max_abs=float(np.max(np.abs(a - b), initial=0.0)),
        sqnr_db=10 * float(np.log10(signal / noise)) if noise > 0 and signal > 0 else None,
    )


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of samples whose largest output is the label, in [0, 1]."""
    return float(np.mean(outputs.argmax(-1) == labels))


def float_limit(reference: NDArray[np.float32]) -> float:
    """Largest difference from Keras' outputs ``reference`` that is still rounding for a float32 artifact."""
    return FLOAT_TOLERANCE * max(1.0, float(np.max(np.abs(reference), initial=0.0)))
