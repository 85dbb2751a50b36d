"""Are answers judged as one judges them by hand, and as scikit-learn does?"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from edgepack import extensions
from edgepack.runner import tasks
from edgepack.runner.errors import UsageError
from edgepack.runner.tasks import anomaly, classification

A = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], np.float32)
B = np.array([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875]], np.float32)


def test_every_task_has_a_judge() -> None:
    assert tasks.names() == extensions.names("edgepack.tasks")
    for name in tasks.names():
        judge = tasks.load(name)
        assert judge.METRIC and judge.AGREEMENT


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown task 'regression'; expected one of: anomaly, classification"):
        tasks.load("regression")


def test_accuracy_by_hand() -> None:
    assert classification.figure(A, A, np.array([0, 1, 1])) == pytest.approx(2 / 3)
    assert classification.figure(B, B, np.array([0, 1, 1])) == 1.0


def test_agreement_of_classes_by_hand() -> None:
    """argmax of A: 0, 0, 1 (the first of equals); of B: 0, 1, 1."""
    assert classification.agreement(A, B, A) == pytest.approx(2 / 3)
    assert classification.agreement(A[:, :1], B[:, :1], A) is None


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_the_area_is_that_of_scikit_learn(samples: list[tuple[int, bool]]) -> None:
    """Scores of few values, so that there are many ties."""
    scores, labels = (np.array(column) for column in zip(*samples, strict=True))
    assume(0 < labels.sum() < len(labels))
    assert anomaly.roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "area"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 1, 1, 1], 0.5), ([1, 3, 2, 4], 0.75)]
)
def test_areas_by_hand(scores: list[int], area: float) -> None:
    assert anomaly.roc_auc(np.array(scores), np.array([False, False, True, True])) == area


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_samples_has_no_area(label: int) -> None:
    with pytest.raises(UsageError, match=f"there are {3 * (1 - label)} and {3 * label} of them"):
        anomaly.figure(A, A, np.full(3, label))


def test_scores_are_mean_squared_errors() -> None:
    rng = np.random.default_rng(0)
    x, outputs = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    expected = [float(((outputs[i].astype(np.float64) - x[i]) ** 2).mean()) for i in range(5)]
    np.testing.assert_allclose(anomaly.scores(outputs, x), expected, rtol=1e-12)


def test_the_figure_of_anomalies_is_the_area_of_their_scores() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(50, 6)), rng.integers(0, 2, 50)
    outputs = x + 0.5 * (1 + labels[:, None]) * rng.normal(size=x.shape)
    expected = roc_auc_score(labels, ((outputs - x) ** 2).mean(axis=1))
    assert anomaly.figure(outputs, x, labels) == pytest.approx(expected)


def test_anomalies_agree_on_the_same_side_of_the_median() -> None:
    """Scores of the reference are 1, 4, 9, 16, their median 6.5; the other model moves the third below it."""
    x = np.zeros((4, 1))
    reference, other = np.array([[1.0], [2], [3], [4]]), np.array([[0.0], [2.5], [2.5], [4]])
    assert anomaly.agreement(reference, other, x) == 0.75
    assert anomaly.agreement(reference, reference, x) == 1.0


def test_a_score_that_is_rounded_across_the_median_agrees() -> None:
    """The median of 1 and 1.002 lies between them, so that rounding alone puts the second one below."""
    x = np.zeros((2, 1))
    reference, rounded, moved = (np.sqrt([[1.0], [value]]) for value in (1.002, 0.998, 0.98))
    assert anomaly.agreement(reference, rounded, x) == 1.0
    assert anomaly.agreement(reference, moved, x) == 0.5
