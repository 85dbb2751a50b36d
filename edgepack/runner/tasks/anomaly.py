"""How well do reconstruction errors tell anomalies from normal samples, and do two models order samples alike?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

METRIC = "roc_auc"
AGREEMENT = "the same side of the median score"


def scores(outputs: NDArray[Any], inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Anomaly score of each sample: the mean squared difference of output and input; float64 of shape (samples,)."""
    difference = outputs.astype(np.float64) - inputs
    return np.asarray(np.mean(difference.reshape(len(difference), -1) ** 2, axis=1))


def figure(outputs: NDArray[Any], inputs: NDArray[Any], labels: NDArray[Any]) -> float:
    """Area under the ROC curve of the scores; label 0 is normal, every other one an anomaly.

    Raises:
        UsageError: There are no normal samples, or no anomalies.
    """
    return roc_auc(scores(outputs, inputs), labels != 0)


def agreement(reference: NDArray[Any], outputs: NDArray[Any], inputs: NDArray[Any]) -> float | None:
    """Share of samples on the same side of the reference's median score, in [0, 1].

    A threshold belongs to a use and is not known here; the median is the one that most samples are near to, where
    scores that moved are seen first. A sample that crosses it by a move of a hundredth of it has been rounded.
    """
    before, after = scores(reference, inputs), scores(outputs, inputs)
    threshold = np.median(before)
    rounded = np.abs(after - before) <= 0.01 * threshold
    return float(np.mean(((before > threshold) == (after > threshold)) | rounded))


def roc_auc(scores: NDArray[Any], anomalous: NDArray[np.bool_]) -> float:
    """Probability that an anomaly has a higher score than a normal sample, ties counting half.

    By ranks (Hanley & McNeil, "The meaning and use of the area under a ROC curve", 1982), which is the area.

    Args:
        scores: Shape (samples,).
        anomalous: Shape (samples,).

    Raises:
        UsageError: All samples are of one kind.
    """
    positive = int(np.count_nonzero(anomalous))
    negative = len(scores) - positive
    if not positive or not negative:
        raise UsageError(f"ROC AUC needs normal samples and anomalies, but there are {negative} and {positive} of them")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks, from 1 on
    return float((ranks[anomalous].sum() - positive * (positive + 1) / 2) / (positive * negative))
