"""edgepack: from a Keras model to verified, containerised, timed packages for edge devices.

The public API, in the order in which it is used::

    recipe = edgepack.load_recipe(Path("recipe.yaml"))
    outcome = edgepack.run(edgepack.make_plan(Path("recipe.yaml"), out=Path("out")))
    report = edgepack.collect(outcome.folder)

Importing this package imports nothing heavy: each name is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "BudgetError",
    "ConversionError",
    "DeviceError",
    "EdgepackError",
    "MissingError",
    "Outcome",
    "Plan",
    "Recipe",
    "RecipeError",
    "Target",
    "VerificationError",
    "__version__",
    "collect",
    "load_recipe",
    "load_target",
    "make_plan",
    "run",
]

_HOMES = {
    **dict.fromkeys(
        (
            "BudgetError",
            "ConversionError",
            "DeviceError",
            "EdgepackError",
            "MissingError",
            "RecipeError",
            "VerificationError",
        ),
        ("edgepack.errors", None),
    ),
    "Outcome": ("edgepack.pipeline", None),
    "Plan": ("edgepack.plan", None),
    "run": ("edgepack.pipeline", None),
    "make_plan": ("edgepack.plan", None),
    "Recipe": ("edgepack.recipe", None),
    "load_recipe": ("edgepack.recipe", "load"),
    "Target": ("edgepack.target", None),
    "load_target": ("edgepack.target", "load"),
    "collect": ("edgepack.report", None),
}

if TYPE_CHECKING:
    from edgepack.errors import (
        BudgetError,
        ConversionError,
        DeviceError,
        EdgepackError,
        MissingError,
        RecipeError,
        VerificationError,
    )
    from edgepack.pipeline import Outcome, run
    from edgepack.plan import Plan, make_plan
    from edgepack.recipe import Recipe
    from edgepack.recipe import load as load_recipe
    from edgepack.report.collect import collect
    from edgepack.target import Target
    from edgepack.target import load as load_target


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'edgepack' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute or name)
