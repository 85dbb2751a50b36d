"""Do the compression steps of a recipe fit each other and its exports?"""

from collections.abc import Iterator
from typing import Any

from edgepack import extensions
from edgepack.contracts import Precision
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe


def labels(recipe: Recipe) -> tuple[str, ...]:
    """What each step is called where files and messages tell steps apart: its place, from 1 on, and its technique."""
    return tuple(f"{number}-{extensions.name_of(config)}" for number, config in enumerate(recipe.compress, 1))


def precision_of(config: object) -> Precision | None:
    """The number format that a post-training step stands for; None for a step that makes a new model."""
    precision: Precision | None = getattr(_module(config), "PRECISION", None)
    return precision


def quantises(config: object) -> bool:
    """True for a step that leaves a fake-quantised model, from which the int8 files are made."""
    return bool(getattr(_module(config), "QUANTISES", False))


def calibration_samples(recipe: Recipe) -> dict[Precision, int]:
    """How many training samples calibrate the files of a precision, where a step of the recipe says so."""
    found: dict[Precision, int] = {}
    for config in recipe.compress:
        precision, samples = precision_of(config), getattr(config, "calibration_samples", None)
        if precision is not None and samples is not None:
            found[precision] = samples
    return found


def problems(recipe: Recipe) -> Iterator[tuple[int, RecipeError]]:
    """Steps that contradict each other or the exports, by their place in ``compress``."""
    exported = {config.precision for config in recipe.export}
    chosen: dict[str, str] = {}
    chooser: str | None = None
    for index, config in enumerate(recipe.compress):
        name, precision = extensions.name_of(config), precision_of(config)
        decided = precision or ("int8" if quantises(config) else None)
        if decided is not None and decided in chosen:
            yield index, _twice(name, chosen[decided], decided)
        elif precision is not None and precision not in exported:
            yield (
                index,
                RecipeError(
                    f"compress: `use: {name}` chooses how {precision} files are made, but `export` asks for none; "
                    f"its precisions are: {', '.join(sorted(exported))}",
                    fix=f"add {{format: tflite, precision: {precision}}} to export, or drop the step",
                ),
            )
        elif decided is None and chooser is not None:
            yield (
                index,
                RecipeError(
                    f"compress: `use: {name}` stands after `use: {chooser}`, whose files are made from the float model "
                    "as it was trained and compressed before that step",
                    fix=f"put `use: {chooser}` after `use: {name}`",
                ),
            )
        if decided is not None:
            chosen.setdefault(decided, name)
        chooser = chooser or (name if precision is not None else None)


def _twice(name: str, earlier: str, precision: str) -> RecipeError:
    if name == earlier:
        return RecipeError(f"compress: `use: {name}` stands there twice", fix="drop one of the two")
    return RecipeError(
        f"compress: `use: {name}` after `use: {earlier}`: both decide how the {precision} files are made",
        fix=f"drop one of the two; `use: {earlier}` alone gives {precision} files, as `use: {name}` does",
    )


def _module(config: object) -> Any:
    return extensions.load("edgepack.techniques", extensions.name_of(config))
