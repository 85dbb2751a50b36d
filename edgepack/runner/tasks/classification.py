"""How good are a classifier's answers, and do two of them name the same classes?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

METRIC = "accuracy"
AGREEMENT = "the same class wins"


def figure(outputs: NDArray[Any], inputs: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of samples whose largest output is the label, in [0, 1]; outputs (samples, classes)."""
    return float(np.mean(outputs.argmax(-1) == labels))


def agreement(reference: NDArray[Any], outputs: NDArray[Any], inputs: NDArray[Any]) -> float | None:
    """Share of samples with the same largest output, in [0, 1]; None for a single output value."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        return None
    return float(np.mean(reference.argmax(-1) == outputs.argmax(-1)))
