"""Does each method find the columns that say what the class is, again with the same seed?"""

from typing import Any

import numpy as np
import pytest

from edgepack import extensions
from edgepack.columns import Matrix, Ranking
from edgepack.errors import RecipeError

INFORMATIVE = {2, 5, 7}


def table(count: int = 240, *, category: bool = False) -> Matrix:
    """Ten columns of which three say what the class is; their ranges differ by ten orders of magnitude."""
    random = np.random.default_rng(3)
    x = random.normal(size=(count, 10))
    y = (x[:, 2] + 1.5 * x[:, 5] - 2 * x[:, 7] > 0).astype(np.int64)
    x *= 10.0 ** np.arange(-5, 5)
    x[::9, 5] = np.nan
    if category:  # three codes: low, middle, high in an order that means nothing
        x[:, 7] = np.array([2, 0, 1])[np.digitize(x[:, 7], [-50, 50])]
    return Matrix(x, y, tuple(category and place == 7 for place in range(10)), ("no", "yes"))


def rank(use: str, matrix: Matrix, *, seed: int = 0, **keys: Any) -> Ranking:
    module = extensions.load("edgepack.features", use)
    ranking: Ranking = module.rank(module.Config.model_validate({"use": use, **keys}), matrix, seed=seed)
    return ranking


@pytest.mark.parametrize(
    ("use", "keys", "category"),
    [
        ("rfe", {"features": 3}, False),
        ("rfe", {"features": 3, "estimator": "forest"}, False),
        ("rfe", {"features": 3}, True),
        ("rfecv", {"min_features": 2}, False),
        ("mutual_information", {"features": 3}, False),
        ("mutual_information", {"features": 3}, True),
    ],
)
def test_the_columns_that_say_something_come_first(use: str, keys: dict[str, Any], category: bool) -> None:
    ranking = rank(use, table(category=category), **keys)
    assert set(ranking.order[:3]) == INFORMATIVE
    assert sorted(ranking.order) == list(range(10))
    if use != "rfecv":
        assert ranking.keep == 3


def test_the_cross_validation_keeps_what_does_best_on_its_folds() -> None:
    ranking = rank("rfecv", table())
    assert ranking.keep is not None and 3 <= ranking.keep <= 6
    accuracy = dict(ranking.curve)
    assert sorted(accuracy) == list(range(1, 11))
    assert accuracy[ranking.keep] == max(accuracy.values()) > accuracy[1] + 0.1


@pytest.mark.parametrize(("use", "keys"), [("rfe", {"estimator": "forest"}), ("mutual_information", {})])
def test_the_seed_decides(use: str, keys: dict[str, Any]) -> None:
    whole = table(60)
    tied = np.round(whole.x[:, :5] / 10.0 ** np.arange(-5, 0))  # a seed says which of equal values are neighbours
    matrix = Matrix(tied, whole.y, whole.categories[:5], whole.labels)
    first, again, other = (rank(use, matrix, seed=seed, **keys) for seed in (5, 5, 6))
    assert first == again
    assert use == "rfe" or first.scores != other.scores


def test_scores_are_mutual_information_in_nats() -> None:
    """Of a category that is the class itself, and of one that is independent of it."""
    y = np.tile([0, 0, 1, 1], 25)
    other = np.tile([0, 1, 0, 1], 25)
    matrix = Matrix(np.stack([other, y], axis=1).astype(float), y, (True, True), ("no", "yes"))
    ranking = rank("mutual_information", matrix)
    assert ranking.order == (1, 0)
    assert ranking.scores == pytest.approx((0.0, np.log(2)), abs=1e-9)


def test_what_a_method_cannot_do_is_said() -> None:
    with pytest.raises(RecipeError, match="`estimator: linear` received categories"):
        rank("rfe", table(category=True), estimator="linear")
    few = table(60)
    y = np.where(np.arange(60) < 3, 1, 0)
    with pytest.raises(RecipeError, match="5 folds need 5 training samples of each class, but 'yes' has 3"):
        rank("rfecv", Matrix(few.x, y, few.categories, few.labels))
