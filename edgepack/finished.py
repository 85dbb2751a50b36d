"""Does a recipe whose model is finished files ask for nothing but what can be done with them?"""

from collections.abc import Iterator
from pathlib import Path

from edgepack.errors import EdgepackError, MissingError, RecipeError
from edgepack.models import artifacts
from edgepack.recipe import MAKING, Recipe
from edgepack.yamlfile import Location

SKIPPED = ("train", "compress", "export")
"""Stages that finished files have no need of."""

REASON = "the model is finished files"


def problems(recipe: Recipe, base: Path) -> Iterator[tuple[Location, EdgepackError]]:
    """What cannot be done with finished files, and files that are not there, each with its place in the recipe.

    Args:
        recipe: Any recipe.
        base: Its folder.
    """
    model = recipe.model
    if not isinstance(model, artifacts.Config):
        return
    for key in MAKING:
        if key in recipe.model_fields_set:
            yield (
                (key,),
                RecipeError(
                    f"{key}: model.artifacts are finished files, which are verified as they are: there is no model to "
                    "train, to compress or to export",
                    fix=f"drop {key}, or give the Keras model that the files were made from",
                ),
            )
    for index, artifact in enumerate(model.artifacts):
        try:
            artifacts.find(artifact, base)
        except (MissingError, RecipeError) as error:
            yield ("model", "artifacts", index), error
