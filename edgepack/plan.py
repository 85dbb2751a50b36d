"""How do a recipe file and the command's options become a plan, with everything checked before anything runs?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgepack import recipe as recipes
from edgepack import target as targets
from edgepack.pipeline import Plan


def make_plan(
    recipe_file: Path,
    *,
    out: Path = Path("out"),
    target_names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    smoke: bool = False,
    from_stage: str | None = None,
    to_stage: str = "report",
    base_image: str | None = None,
) -> Plan:
    """Read a recipe and its targets.

    Args:
        recipe_file: The recipe.
        out: Folder for all runs.
        target_names: Replaces the recipe's targets when not empty.
        overrides: ``KEY=VALUE`` for single keys of the recipe.
        smoke: A quick pass that only shows that everything works.
        from_stage: Run this stage and all later ones again.
        to_stage: Last stage.
        base_image: Replaces every target's base image.

    Raises:
        MissingError: A file is not there.
        RecipeError: The recipe or a target is wrong.
    """
    recipe = recipes.load(recipe_file, overrides=overrides, targets=target_names)
    base = recipe_file.resolve().parent
    loaded = tuple(targets.load(name, relative_to=base) for name in recipe.targets)
    return Plan(
        recipe=recipe,
        recipe_file=str(recipe_file),
        base=base,
        targets=loaded,
        out=out,
        smoke=smoke,
        from_stage=from_stage,
        to_stage=to_stage,
        base_image=base_image,
    )


def describe(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready data: the resolved recipe, each target in full, and what each target will get."""
    exports = [f"model.{config.precision}.{_suffix(config)}" for config in plan.recipe.export]
    return {
        "schema": "edgepack.plan/1",
        "run_folder": str(plan.run_folder),
        "recipe_sha256": plan.recipe.sha256(),
        "recipe": plan.recipe.resolved(),
        "targets": [target.model_dump(mode="json") for target in plan.targets],
        "artifacts": {
            target.name: [
                name
                for name in exports
                if name.rsplit(".", 1)[-1] in target.formats() and name.split(".")[1] in target.precisions
            ]
            for target in plan.targets
        },
    }


def _suffix(config: Any) -> str:
    from edgepack import extensions

    module = extensions.load("edgepack.formats", type(config).__module__.rsplit(".", 1)[-1])
    return str(module.SUFFIX)
