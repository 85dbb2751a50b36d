"""What does a run need to know before it starts, everything checked?"""

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack import exports, extensions, finished, starts, steps, worker, worklogs
from edgepack import recipe as recipes
from edgepack import target as targets
from edgepack.recipe import STAGES, Recipe
from edgepack.stages.request import Request
from edgepack.target import Target


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs to know before it starts.

    Attributes:
        recipe: The resolved recipe.
        recipe_file: The recipe's path as the user gave it, for the report.
        base: The recipe's folder.
        targets: The resolved targets.
        out: Folder for all runs; this one gets ``out/<recipe name>``.
        smoke: One epoch on a few samples, to see that everything works; its figures mean nothing.
        from_stage: This stage and all later ones run again even if their results are there.
        to_stage: The last stage that runs.
        base_image: Replaces every target's base image, or None.
    """

    recipe: Recipe
    recipe_file: str
    base: Path
    targets: tuple[Target, ...]
    out: Path
    smoke: bool = False
    from_stage: str | None = None
    to_stage: str = "report"
    base_image: str | None = None

    @property
    def run_folder(self) -> Path:
        """Where this run leaves its results."""
        return self.out / (f"{self.recipe.name}-smoke" if self.smoke else self.recipe.name)

    def runs(self, stage: str) -> bool:
        """True when a stage is not after ``to_stage``."""
        return STAGES.index(stage) <= STAGES.index(self.to_stage)

    def forced(self, stage: str) -> bool:
        """True when a stage must run again."""
        return self.from_stage is not None and STAGES.index(stage) >= STAGES.index(self.from_stage)


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
    for location, refusal in finished.problems(recipe, base):
        with recipes.located(recipe_file, location):
            raise refusal
    for index, problem in steps.problems(recipe):
        with recipes.located(recipe_file, ("compress", index)):
            raise problem
    task = extensions.load("edgepack.tasks", extensions.name_of(recipe.task))
    for location, problem in (*starts.problems(recipe), *task.problems(recipe)):
        with recipes.located(recipe_file, location):
            raise problem
    loaded = []
    for index, name in enumerate(recipe.targets):
        with nullcontext() if target_names else recipes.located(recipe_file, ("targets", index)):
            loaded.append(targets.load(name, relative_to=base))
    with recipes.located(recipe_file, ("export",)):
        recipe = recipe.model_copy(update={"export": exports.fitted(recipe.export, loaded)})
    return Plan(
        recipe=recipe,
        recipe_file=str(recipe_file),
        base=base,
        targets=tuple(loaded),
        out=out,
        smoke=smoke,
        from_stage=from_stage,
        to_stage=to_stage,
        base_image=base_image,
    )


def describe(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready data: the resolved recipe, each target in full, and what each target will get.

    Finished files are looked at for that: ``adopted`` says what each is, ``skipped`` which stages have nothing to do.

    Raises:
        RecipeError: A finished file is none that could be verified.
    """
    adopted = _adopted(plan) if plan.recipe.model.finished else None
    files = [f"model.{config.precision}.{exports.suffix(config)}" for config in plan.recipe.export]
    skipped = dict.fromkeys(finished.SKIPPED, finished.REASON)
    names = files if adopted is None else [item["file"] for item in adopted]
    return {
        "schema": "edgepack.plan/1",
        "run_folder": str(plan.run_folder),
        "recipe_sha256": plan.recipe.sha256(),
        "recipe": plan.recipe.resolved(),
        "targets": [target.resolved() for target in plan.targets],
        **({} if adopted is None else {"adopted": adopted, "skipped": skipped}),
        "artifacts": {
            target.name: [
                name
                for name in names
                if name.rsplit(".", 1)[-1] in target.formats() and name.split(".")[1] in target.precisions
            ]
            for target in plan.targets
        },
    }


def _adopted(plan: Plan) -> list[dict[str, Any]]:
    """What each finished file is, without the data: in a process of its own, since runtimes read the files."""
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        request = Request(plan.recipe, plan.base.resolve(), Path(folder), {}, plan.smoke, lambda _: None)
        done = worker.call("edgepack.stages.adopt", request, log_path=worklogs.place("plan"))
    return [{key: item[key] for key in ("file", "source", "sha256")} for item in done.figures["artifacts"]]
