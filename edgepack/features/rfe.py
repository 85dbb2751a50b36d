"""Which columns are left when the least important one is removed again and again?

Guyon et al., Gene Selection for Cancer Classification using Support Vector Machines, Machine Learning 46 (2002).
"""

from typing import Literal

from pydantic import Field, PositiveInt

from edgepack.columns import Matrix, Ranking
from edgepack.features._models import EliminationConfig, ranker


class Config(EliminationConfig):
    """Recursive elimination down to a number of columns, or to what a budget allows."""

    use: Literal["rfe"] = "rfe"
    features: PositiveInt | None = Field(None, description="columns to keep; absent = as many as the budget allows")


def rank(config: Config, matrix: Matrix, *, seed: int) -> Ranking:
    """Order all columns by the round in which they were removed, the last one first."""
    import numpy as np
    from sklearn.feature_selection import RFE

    estimator, importance = ranker(config, matrix, seed)
    places = RFE(estimator, n_features_to_select=1, importance_getter=importance).fit(matrix.x, matrix.y).ranking_
    return Ranking(tuple(np.argsort(places, kind="stable").tolist()), config.features)
