"""What may a recipe say about MLflow, and what does it not change?"""

import pytest

from edgepack import yamlfile
from edgepack.config import validate
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe

RECIPE = """\
data: {sklearn: iris}
model: {zoo: mlp}
export: [{format: tflite, precision: int8}]
targets: [linux-amd64-cpu]
"""


def recipe(tracking: str = "") -> Recipe:
    """The recipe above with a section more."""
    return validate(Recipe, yamlfile.parse(RECIPE + tracking, source="recipe.yaml"))


def test_the_bare_name_stands_for_all_defaults() -> None:
    (config,) = recipe("tracking: [mlflow]").tracking
    assert config.model_dump() == {"use": "mlflow", "uri": None, "experiment": None, "models": False}


def test_tracking_is_no_part_of_what_is_made_and_shipped() -> None:
    tracked = recipe("tracking: [{use: mlflow, uri: 'http://internal:5000'}]")
    assert tracked.resolved()["tracking"][0]["uri"] == "http://internal:5000"
    assert "tracking" not in tracked.essence()
    assert tracked.sha256() == recipe().sha256()
    assert Recipe.model_validate(tracked.essence()).tracking == ()


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("tracking: [{use: mlflow, uri: 'https://me:secret@host:5000'}]")
    assert "holds a user or a password; expected https://host:5000" in caught.value.message
    assert "MLFLOW_TRACKING_PASSWORD" in caught.value.fix
    assert "secret" not in str(caught.value)


def test_an_unknown_tracker_or_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'mlflow'"):
        recipe("tracking: [{use: mlfow}]")
    with pytest.raises(RecipeError, match="did you mean 'experiment'"):
        recipe("tracking: [{use: mlflow, experimnt: a}]")
