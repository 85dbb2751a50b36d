"""How many columns are needed, and which, when the number of them is judged on held-out folds?"""

from typing import Literal

from pydantic import Field, PositiveInt

from edgepack.columns import Matrix, Ranking
from edgepack.errors import RecipeError
from edgepack.features._models import EliminationConfig, ranker


class Config(EliminationConfig):
    """Recursive elimination; the number of columns is the one with the best accuracy in a cross-validation."""

    use: Literal["rfecv"] = "rfecv"
    folds: PositiveInt = Field(5, ge=2, description="parts of the training samples, each held out once")
    min_features: PositiveInt = Field(1, description="columns to keep at least")


def rank(config: Config, matrix: Matrix, *, seed: int) -> Ranking:
    """Order all columns as `rfe` does, and keep as many as did best on the folds.

    Raises:
        RecipeError: A class has fewer training samples than there are folds.
    """
    import numpy as np
    from sklearn.feature_selection import RFECV
    from sklearn.model_selection import StratifiedKFold

    from edgepack.features import rfe

    counts = np.bincount(matrix.y, minlength=len(matrix.labels))
    rarest = int(counts.argmin())
    if counts[rarest] < config.folds:
        raise RecipeError(
            f"data.select_features: {config.folds} folds need {config.folds} training samples of each class, "
            f"but {matrix.labels[rarest]!r} has {counts[rarest]}",
            fix="fewer folds, or more samples",
        )
    estimator, importance = ranker(config, matrix, seed)
    search = RFECV(
        estimator,
        min_features_to_select=min(config.min_features, matrix.x.shape[1]),
        cv=StratifiedKFold(config.folds, shuffle=True, random_state=seed),
        scoring="accuracy",
        importance_getter=importance,
    ).fit(matrix.x, matrix.y)
    results = search.cv_results_
    curve = tuple(
        (int(count), float(score))
        for count, score in zip(results["n_features"], results["mean_test_score"], strict=True)
    )
    whole = rfe.rank(rfe.Config(estimator=config.estimator), matrix, seed=seed)
    return Ranking(whole.order, int(search.n_features_), curve=curve)
