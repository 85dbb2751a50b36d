"""Do start weights, a new head and the phases of a training fit each other?"""

from collections.abc import Iterator

from edgepack import extensions
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe
from edgepack.yamlfile import Location


def problems(recipe: Recipe) -> Iterator[tuple[Location, RecipeError]]:
    """What contradicts itself before anything is built, with the place of each in the recipe."""
    epochs, transfer = recipe.training.epochs or 0, recipe.training.transfer
    if getattr(recipe.model, "new_head", None) is not None and not epochs:
        yield (
            ("model", "new_head"),
            RecipeError(
                "model.new_head: a new head knows nothing, but training.epochs is 0", fix="set training.epochs"
            ),
        )
    if transfer is None:
        return
    where: Location = ("training", "transfer")
    if extensions.name_of(recipe.model) == "zoo" and getattr(recipe.model, "weights", None) is None:
        yield (
            where,
            RecipeError(
                "training.transfer: the model has no start weights, so that there is nothing to freeze",
                fix="set model.weights to a model file or to imagenet, or drop training.transfer",
            ),
        )
    elif not epochs:
        yield where, RecipeError("training.transfer: training.epochs is 0", fix="set training.epochs")
    else:
        try:
            transfer.epochs(epochs)
        except RecipeError as error:
            yield where, error
