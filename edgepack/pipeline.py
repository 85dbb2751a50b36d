"""Which stages turn a recipe into bundles, and in which order?"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from edgepack import delivery, extensions, store
from edgepack.environment import describe
from edgepack.errors import EdgepackError, RecipeError
from edgepack.events import Observer, Silent
from edgepack.execution import Execution
from edgepack.plan import Plan
from edgepack.recipe import STAGES, located
from edgepack.store import Entry, Store

RUN_SCHEMA = "edgepack.run/1"


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes:
        folder: The run's folder.
        errors: What went wrong without ending the run, in the order of the stages.
        worked: False when every result was there already.
    """

    folder: Path
    errors: tuple[EdgepackError, ...]
    worked: bool


def run(plan: Plan, observer: Observer | None = None) -> Outcome:
    """Carry out a plan; finished stages are reused.

    Raises:
        EdgepackError: A stage that everything else needs has failed. What belongs to one target alone (its image, its
            measurement, its gates) does not end the run: it is in `Outcome.errors`.
    """
    if plan.from_stage and STAGES.index(plan.from_stage) > STAGES.index(plan.to_stage):
        raise RecipeError(f"--from {plan.from_stage} comes after --to {plan.to_stage}", fix="turn them round")
    keeper = Store(plan.run_folder)
    with keeper.locked():
        work = Execution(plan, keeper, observer or Silent())
        errors: list[EdgepackError] = []
        data = _data(work)
        trained = _train(work, data) if plan.runs("train") else None
        steps = _compress(work, data, trained) if trained and plan.runs("compress") else []
        exported = _export(work, data, trained, steps) if trained and plan.runs("export") else None
        verified = _verify(work, data, exported) if exported and plan.runs("verify") else None
        if exported and verified:
            lineage = {
                "data": data,
                "train": trained,
                "compress": steps,
                "export": exported,
                "verify": verified,
            }
            for target in plan.targets:
                errors += delivery.deliver(plan, target, lineage, work)
        _write_run(work, trained, steps)
        if verified and plan.runs("report"):
            _report(work)
        return Outcome(plan.run_folder, tuple(errors), work.worked)


def _data(work: Execution) -> Entry:
    recipe = work.plan.recipe
    source = extensions.name_of(recipe.data)
    with located(Path(work.plan.recipe_file), ("data", source)):
        identity = extensions.load("edgepack.data", source).identity(recipe.data, work.plan.base)
    return work.stage(
        "data",
        "edgepack.stages.data",
        config=[recipe.data.model_dump(mode="json"), identity],
        inputs={},
        code=("data", "dataset", "userfiles", "stages/data"),
        packages=("numpy", "scikit-learn", "pillow"),
    )


def _train(work: Execution, data: Entry) -> Entry:
    recipe = work.plan.recipe
    source = extensions.name_of(recipe.model)
    with located(Path(work.plan.recipe_file), ("model", source)):
        identity = extensions.load("edgepack.models", source).identity(recipe.model, work.plan.base)
    return work.stage(
        "train",
        "edgepack.stages.train",
        config=[recipe.model.model_dump(mode="json"), identity, recipe.training.model_dump(mode="json")],
        inputs={"data": data},
        code=("models", "zoo", "training", "keras_models", "dataset", "stages/train", "stages/determinism"),
        packages=("tensorflow", "tf-keras", "numpy"),
    )


def _compress(work: Execution, data: Entry, trained: Entry) -> list[Entry]:
    recipe, entries, model = work.plan.recipe, [], trained
    for index, config in enumerate(recipe.compress):
        technique = extensions.name_of(config)
        model = work.stage(
            "compress",
            "edgepack.stages.compress",
            label=f"{index + 1}-{technique}",
            config=[config.model_dump(mode="json"), recipe.training.model_dump(mode="json")],
            inputs={"data": data, "model": model},
            code=(
                "techniques",
                "training",
                "keras_models",
                "dataset",
                "stages/compress",
                "stages/determinism",
            ),
            packages=("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy"),
            options={"step": index},
        )
        entries.append(model)
    return entries


def _export(work: Execution, data: Entry, trained: Entry, steps: list[Entry]) -> Entry:
    recipe = work.plan.recipe
    records = [json.loads((entry.path / "step.json").read_text()) for entry in steps]
    float_entries = [
        trained,
        *(e for e, record in zip(steps, records, strict=True) if not record["quantised"]),
    ]
    quantised = [e for e, record in zip(steps, records, strict=True) if record["quantised"]]
    last_float = float_entries[-1]
    inputs = {"data": data, "baseline": trained, "float": last_float}
    if quantised:
        inputs["quantised"] = quantised[-1]
    return work.stage(
        "export",
        "edgepack.stages.export",
        config=[[config.model_dump(mode="json") for config in recipe.export], recipe.verify.samples],
        inputs=inputs,
        code=(
            "formats",
            "keras_models",
            "onnx_models",
            "training/fit",
            "dataset",
            "stages/export",
            "stages/determinism",
        ),
        packages=("tensorflow", "tf-keras", "onnx", "tf2onnx", "numpy"),
        options={
            key: str((inputs[name].path / "model.h5").resolve())
            for key, name in (
                ("baseline", "baseline"),
                ("float_model", "float"),
                ("quantised_model", "quantised"),
            )
            if name in inputs
        },
    )


def _verify(work: Execution, data: Entry, exported: Entry) -> Entry:
    runtimes = sorted({runtime for target in work.plan.targets for runtime in target.runtimes})
    threads = max(target.threads for target in work.plan.targets)
    return work.stage(
        "verify",
        "edgepack.stages.verify",
        config=[work.plan.recipe.verify.model_dump(mode="json"), runtimes, threads, describe()["cpu"]],
        inputs={"data": data, "export": exported},
        code=("verify", "runner", "dataset", "stages/verify"),
        packages=("ai-edge-litert", "onnxruntime", "numpy"),
        options={"runtimes": runtimes, "threads": threads},
    )


def _write_run(work: Execution, trained: Entry | None, steps: list[Entry]) -> None:
    """Leave ``run.json``: what was asked for, what was done, with what."""
    plan = work.plan
    training = json.loads((trained.path / "training.json").read_text()) if trained else None
    document = {
        "schema": RUN_SCHEMA,
        "name": plan.recipe.name,
        "recipe_file": plan.recipe_file,
        "recipe": plan.recipe.resolved(),
        "recipe_sha256": plan.recipe.sha256(),
        "smoke": plan.smoke,
        "stages": work.stages,
        "training": {**training, "seconds": trained.seconds} if training and trained else None,
        "steps": [{**json.loads((e.path / "step.json").read_text()), "seconds": e.seconds} for e in steps],
        "environment": describe(),
        "targets": [target.name for target in plan.targets],
    }
    with store.explain_os_errors(plan.run_folder):
        store.write_json(plan.run_folder / "run.json", document)


def _report(work: Execution) -> None:
    from edgepack import report

    start = time.monotonic()
    up_to_date = work.plan.run_folder / "report.html"
    if not work.worked and up_to_date.exists() and not work.plan.forced("report"):
        work.observer.finished("report", "", seconds=0.0, cached=True)
        return
    work.observer.started("report", "")
    with store.explain_os_errors(work.plan.run_folder):
        report.write(work.plan.run_folder)
    work.observer.finished("report", "", seconds=time.monotonic() - start, cached=False)
