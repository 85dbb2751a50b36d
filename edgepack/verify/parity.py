"""How far apart are two sets of outputs for the same samples?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepack.runner import tasks

FLOAT_TOLERANCE = 1e-3
"""Largest difference between a float32 artifact and Keras, relative to the largest output."""


@dataclass(frozen=True)
class Difference:
    """Two sets of outputs of shape (samples, ...), compared.

    Attributes:
        samples: Number of samples.
        top1_agreement: Share of samples with the same answer, in [0, 1]: for classes, the same largest output.
        max_abs: Largest absolute difference of any output.
        sqnr_db: Signal to quantisation noise ratio of ``b`` against ``a`` in decibels; None when they are equal.
    """

    samples: int
    top1_agreement: float
    max_abs: float
    sqnr_db: float | None


def compare(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    *,
    task: str = "classification",
    inputs: NDArray[np.float32] | None = None,
) -> Difference:
    """Compare outputs ``b`` with reference outputs ``a``, both float32 of shape (samples, ...).

    Args:
        a: The reference.
        b: The other outputs.
        task: What the outputs are answers to.
        inputs: The model's inputs (samples, ...), for a task that judges by them.
    """
    same = tasks.load(task).agreement(a, b, a if inputs is None else inputs)
    noise = float(np.sum((a.astype(np.float64) - b) ** 2))
    signal = float(np.sum(a.astype(np.float64) ** 2))
    return Difference(
        samples=len(a),
        top1_agreement=1.0 if same is None else same,
        max_abs=float(np.max(np.abs(a - b), initial=0.0)),
        sqnr_db=10 * float(np.log10(signal / noise)) if noise > 0 and signal > 0 else None,
    )


def float_limit(reference: NDArray[np.float32]) -> float:
    """Largest difference from Keras' outputs ``reference`` that is still rounding for a float32 artifact."""
    return FLOAT_TOLERANCE * max(1.0, float(np.max(np.abs(reference), initial=0.0)))
