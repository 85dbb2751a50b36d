"""How much does each column, taken alone, say about the class?

Kraskov et al., cond-mat/0305641, and Ross (PLoS ONE 9(2), 2014) for numbers beside classes, as in scikit-learn.
"""

from typing import Literal

from pydantic import Field, PositiveInt

from edgepack.columns import Matrix, Ranking, SelectionConfig


class Config(SelectionConfig):
    """Mutual information of each column with the class; quick, and blind to columns that say the same."""

    use: Literal["mutual_information"] = "mutual_information"
    features: PositiveInt | None = Field(None, description="columns to keep; absent = as many as the budget allows")


def rank(config: Config, matrix: Matrix, *, seed: int) -> Ranking:
    """Order all columns by their mutual information with the class, in nats."""
    import numpy as np
    from sklearn.feature_selection import mutual_info_classif
    from sklearn.impute import SimpleImputer

    x = SimpleImputer(strategy="median", keep_empty_features=True).fit_transform(matrix.x)
    discrete = np.array(matrix.categories, dtype=bool)
    scores = mutual_info_classif(x, matrix.y, discrete_features=discrete, random_state=seed)
    order = np.argsort(-scores, kind="stable")
    return Ranking(tuple(order.tolist()), config.features, scores=tuple(float(score) for score in scores))
