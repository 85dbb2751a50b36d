"""Which model says how much each column matters, for methods that remove the least one again and again?"""

from typing import Any, Literal

from pydantic import Field

from edgepack.columns import Matrix, SelectionConfig
from edgepack.errors import RecipeError

TREES = 100


class EliminationConfig(SelectionConfig):
    """Keys of the methods that remove columns one after the other."""

    estimator: Literal["linear", "forest"] | None = Field(
        None,
        description="linear: logistic regression; forest: random trees; absent = forest where there are categories",
    )


def ranker(config: EliminationConfig, matrix: Matrix, seed: int) -> tuple[Any, str]:
    """A scikit-learn estimator and where it keeps the importances of its columns.

    Numbers are imputed and scaled inside it, so that a fold of a cross-validation learns nothing of the others.

    Raises:
        RecipeError: A linear model was asked for, and there are categories.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    kind = config.estimator or ("forest" if any(matrix.categories) else "linear")
    if kind == "linear" and any(matrix.categories):
        raise RecipeError(
            "data.select_features: `estimator: linear` received categories; it has one weight for each column",
            fix="estimator: forest",
        )
    imputer = ("imputer", SimpleImputer(strategy="median", keep_empty_features=True))
    if kind == "forest":
        model = RandomForestClassifier(TREES, random_state=seed)
        return Pipeline([imputer, ("model", model)]), "named_steps.model.feature_importances_"
    model = LogisticRegression(max_iter=2000)
    return Pipeline([imputer, ("scaler", StandardScaler()), ("model", model)]), "named_steps.model.coef_"
