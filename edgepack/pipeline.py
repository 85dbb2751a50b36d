"""Which stages turn a recipe into bundles, and in which order?"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack import delivery, extensions, finished, promises, steps, store, tracking, training_logs
from edgepack.contracts import Int8, Precision
from edgepack.environment import describe
from edgepack.errors import EdgepackError, RecipeError
from edgepack.events import Observer, Silent
from edgepack.execution import Execution
from edgepack.plan import Plan
from edgepack.recipe import STAGES, located
from edgepack.store import Entry, Store
from edgepack.techniques._post_training import CALIBRATION_SAMPLES

RUN_SCHEMA = "edgepack.run/1"


@dataclass(frozen=True)
class Step:
    """A finished compression step.

    Attributes:
        made: Where its files are: ``step.json``, and ``model.h5`` unless it is a post-training step.
        record: The content of ``step.json``.
        footprint: Where its ``.tflite`` file and its weight are.
    """

    made: Entry
    record: Mapping[str, Any]
    footprint: Entry


@dataclass(frozen=True)
class Made:
    """The files of a run, as far as it went, and what they were made from.

    Attributes:
        exported: Where the files are.
        trained: The trained float model; None for finished files.
        weighed: Its footprint.
        steps: The finished compression steps.
    """

    exported: Entry | None = None
    trained: Entry | None = None
    weighed: Entry | None = None
    steps: Sequence[Step] = ()


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


def run(plan: Plan, observer: Observer | None = None, *, only_trains: bool = False) -> Outcome:
    """Carry out a plan; finished stages are reused.

    Args:
        plan: What to do.
        observer: Told what happens.
        only_trains: This machine trains along with others, one of which goes on with the results.

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
        training_logs.drop_others(plan.run_folder, ("train", *steps.labels(plan.recipe)))
        data = _data(work)
        made = _adopt(work, data) if plan.recipe.model.finished else _make(work, data, only_trains=only_trains)
        verified = _verify(work, data, made) if made.exported and plan.runs("verify") else None
        if verified:
            lineage = {
                "data": data,
                "train": made.trained,
                "compress": [step.made for step in made.steps],
                "export": made.exported,
                "verify": verified,
            }
            for target in plan.targets:
                errors += delivery.deliver(plan, target, lineage, work)
        _write_run(work, data, made)
        if verified and plan.runs("report"):
            _report(work)
            errors += tracking.track(work)
        return Outcome(plan.run_folder, tuple(errors), work.worked)


def find_learning_rate(
    plan: Plan, observer: Observer | None = None, *, low: float, high: float, steps: int
) -> tuple[dict[str, Any], Path]:
    """The range test of 1506.01186 on a recipe's model and data, before any training.

    Args:
        plan: What to do; only its data and its model count.
        observer: Told what happens.
        low: First learning rate.
        high: Last learning rate; the test ends before it when the loss grows out of bounds.
        steps: Training steps.

    Returns:
        The content of ``lr-find.json`` (``suggested``, ``bound``, ``rates``, ``losses``, ``smoothed``) and its folder.
    """
    keeper = Store(plan.run_folder)
    with keeper.locked():
        work = Execution(plan, keeper, observer or Silent())
        found = work.stage(
            "train",
            "edgepack.stages.lr_find",
            config=[*_training_config(work), low, high, steps],
            inputs={"data": _data(work)},
            code=(*TRAINING_CODE, "stages/lr_find", "report/svg"),
            packages=(*TRAINING_PACKAGES, "matplotlib"),
            options={"low": low, "high": high, "steps": steps},
        )
        return json.loads((found.path / "lr-find.json").read_text()), found.path


def _data(work: Execution) -> Entry:
    recipe = work.plan.recipe
    source = extensions.name_of(recipe.data)
    with located(Path(work.plan.recipe_file), ("data", source)):
        identity = extensions.load("edgepack.data", source).identity(recipe.data, work.plan.base)
    return work.stage(
        "data",
        "edgepack.stages.data",
        config=[recipe.data.model_dump(mode="json"), identity, recipe.task.model_dump(mode="json")],
        inputs={},
        code=("data", "tasks", "features", "columns", "selection", "dataset", "userfiles", "stages/data"),
        packages=("numpy", "scikit-learn", "pillow"),
    )


def _make(work: Execution, data: Entry, *, only_trains: bool) -> Made:
    """Train, compress and export, as far as the run goes."""
    plan = work.plan
    if not plan.runs("train"):
        return Made()
    trained = _train(work, data)
    if not plan.runs("compress"):
        return Made(trained=trained)
    weighed = _footprint(work, data, trained, label="float")
    done = _compress(work, data, trained)
    goes_on = plan.runs("export") and not only_trains
    exported = _export(work, data, trained, weighed, done) if goes_on else None
    return Made(exported, trained, weighed, done)


def _adopt(work: Execution, data: Entry) -> Made:
    """Take finished files instead; that belongs to the stage export of the command line."""
    plan = work.plan
    for stage in finished.SKIPPED:
        if plan.runs(stage):
            work.skip(stage, finished.REASON)
    if not plan.runs("export"):
        return Made()
    with located(Path(plan.recipe_file), ("model", "artifacts")):
        identity = extensions.load("edgepack.models", "artifacts").identity(plan.recipe.model, plan.base)
    adopted = work.stage(
        "adopt",
        "edgepack.stages.adopt",
        family="export",
        config=[plan.recipe.model.model_dump(mode="json"), identity],
        inputs={"data": data},
        code=(
            "formats",
            "models/artifacts",
            "onnx_models",
            "tflite_models",
            "runner",
            "tasks",
            "dataset",
            "stages/adopt",
        ),
        packages=("ai-edge-litert", "onnxruntime", "onnx", "numpy"),
    )
    for record in json.loads((adopted.path / "adopted.json").read_text()):
        for sentence in record["added"]:
            work.observer.warned("adopt", record["source"], f"{sentence}; its copy has that in its metadata")
    return Made(adopted)


TRAINING_CODE = (
    "models",
    "zoo",
    "schedules",
    "tasks",
    "runner/tasks",
    "training",
    "keras_models",
    "columns",
    "dataset",
    "stages/train",
    "stages/determinism",
)
TRAINING_PACKAGES = ("tensorflow", "tf-keras", "keras", "numpy")


def _train(work: Execution, data: Entry) -> Entry:
    trained = work.stage(
        "train",
        "edgepack.stages.train",
        config=_training_config(work),
        inputs={"data": data},
        code=TRAINING_CODE,
        packages=TRAINING_PACKAGES,
        log="train",
    )
    for warning in json.loads((trained.path / "training.json").read_text())["warnings"]:
        work.observer.warned("train", "", warning)
    return trained


def _training_config(work: Execution) -> list[object]:
    """What decides, besides the data, what training makes."""
    recipe = work.plan.recipe
    source = extensions.name_of(recipe.model)
    with located(Path(work.plan.recipe_file), ("model", source)):
        identity = extensions.load("edgepack.models", source).identity(recipe.model, work.plan.base)
    return [recipe.model.model_dump(mode="json"), identity, recipe.training.model_dump(mode="json")]


def _compress(work: Execution, data: Entry, trained: Entry) -> list[Step]:
    """Each step gets the model of the one before it; a post-training step the last float model, which it leaves."""
    recipe = work.plan.recipe
    done: list[Step] = []
    model = last_float = trained
    for index, (config, label) in enumerate(zip(recipe.compress, steps.labels(recipe), strict=True)):
        technique = extensions.name_of(config)
        made = work.stage(
            "compress",
            "edgepack.stages.compress",
            label=label,
            config=[
                config.model_dump(mode="json"),
                recipe.training.for_steps().model_dump(mode="json"),
                _identity(work, index, technique),
                recipe.gates.max_accuracy_drop if getattr(config, "repair", 0) else None,
            ],
            inputs={
                "data": data,
                "model": model if steps.precision_of(config) is None else last_float,
                "trained": trained,
            },
            code=(
                "techniques",
                "schedules",
                "tasks",
                "runner/tasks",
                "training",
                "keras_models",
                "rewrites",
                "channels",
                "quantization",
                "formats/tflite",
                "tflite_models",
                "models",
                "zoo",
                "columns",
                "dataset",
                "stages/compress",
                "stages/determinism",
            ),
            packages=("tensorflow", "tf-keras", "tensorflow-model-optimization", "ai-edge-litert", "numpy"),
            options={"step": index},
            log=label,
        )
        record = json.loads((made.path / "step.json").read_text())
        for warning in record["warnings"]:
            work.observer.warned("compress", label, warning)
        if record["precision"] is None:
            model = made
            last_float = last_float if record["quantised"] else made
        weighed = _footprint(
            work,
            data,
            last_float if record["precision"] else made,
            label=label,
            quantised=record["quantised"],
            precision=record["precision"],
            int8=record["int8"],
        )
        done.append(Step(made, record, weighed))
    return done


def _identity(work: Execution, index: int, technique: str) -> object:
    """What a technique reads besides the model and the data, where its module says so; see `contracts.Technique`."""
    module = extensions.load("edgepack.techniques", technique)
    identity = getattr(module, "identity", None)
    if identity is None:
        return None
    with located(Path(work.plan.recipe_file), ("compress", index)):
        return identity(work.plan.recipe.compress[index], work.plan.base)


def _footprint(
    work: Execution,
    data: Entry,
    model: Entry,
    *,
    label: str,
    quantised: bool = False,
    precision: Precision | None = None,
    int8: Mapping[str, Any] | None = None,
) -> Entry:
    """Convert and weigh one model as it stands; ``precision`` is a post-training step's, else the model says it."""
    shown: Precision = precision or ("int8" if quantised else "float32")
    samples = steps.calibration_samples(work.plan.recipe).get(shown, CALIBRATION_SAMPLES)
    options = {
        "precision": shown,
        "quantised": quantised,
        "calibration_samples": samples,
        "threads": max(target.threads for target in work.plan.targets),
        "judged": precision is not None,
        "int8": int8 or Int8().to_dict(),
    }
    return work.stage(
        "footprint",
        "edgepack.stages.footprint",
        family="compress",
        label=label,
        config=[options, describe()["cpu"]],
        inputs={"data": data, "model": model},
        code=(
            "formats",
            "keras_models",
            "rewrites",
            "columns",
            "quantization",
            "tflite_models",
            "runner",
            "verify",
            "dataset",
            "stages/footprint",
            "stages/determinism",
        ),
        packages=("tensorflow", "tf-keras", "ai-edge-litert", "numpy"),
        options=options,
    )


def _export(work: Execution, data: Entry, trained: Entry, weighed: Entry, done: Sequence[Step]) -> Entry:
    recipe = work.plan.recipe
    inputs = {"data": data, "baseline": trained, "float": trained}
    ready = {"float32": weighed}
    for step in done:
        if step.record["precision"]:
            ready[step.record["precision"]] = step.footprint
        elif step.record["quantised"]:
            inputs["quantised"], ready["int8"] = step.made, step.footprint
        else:
            inputs["float"], ready["float32"] = step.made, step.footprint
    options: dict[str, Any] = {
        key: str((inputs[name].path / "model.h5").resolve())
        for key, name in (("baseline", "baseline"), ("float_model", "float"), ("quantised_model", "quantised"))
        if name in inputs
    }
    samples = steps.calibration_samples(recipe)
    int8 = next((step.record["int8"] for step in reversed(done) if step.record["int8"]), Int8().to_dict())
    return work.stage(
        "export",
        "edgepack.stages.export",
        config=[[config.model_dump(mode="json") for config in recipe.export], recipe.verify.samples, samples, int8],
        inputs={**inputs, **{f"ready-{precision}": entry for precision, entry in ready.items()}},
        code=(
            "formats",
            "keras_models",
            "rewrites",
            "columns",
            "quantization",
            "onnx_models",
            "tflite_models",
            "training/fit",
            "dataset",
            "stages/export",
            "stages/determinism",
        ),
        packages=("tensorflow", "tf-keras", "onnx", "tf2onnx", "numpy"),
        options={
            **options,
            "calibration_samples": samples,
            "int8": int8,
            "ready": {precision: str(entry.path.resolve()) for precision, entry in ready.items()},
        },
    )


def _verify(work: Execution, data: Entry, made: Made) -> Entry:
    assert made.exported is not None
    promised = promises.standing([step.record for step in made.steps])
    runtimes = sorted({runtime for target in work.plan.targets for runtime in target.runtimes})
    threads = max(target.threads for target in work.plan.targets)
    return work.stage(
        "verify",
        "edgepack.stages.verify",
        config=[work.plan.recipe.verify.model_dump(mode="json"), runtimes, threads, promised, describe()["cpu"]],
        inputs={"data": data, "export": made.exported},
        code=("verify", "tflite_models", "onnx_models", "runner", "dataset", "stages/verify"),
        packages=("ai-edge-litert", "onnxruntime", "numpy"),
        options={"runtimes": runtimes, "threads": threads, "promises": promised},
    )


def _write_run(work: Execution, data: Entry, made: Made) -> None:
    """Leave ``run.json``: what was asked for, what was done, with what."""
    plan, training = work.plan, None
    if made.trained:
        record = json.loads((made.trained.path / "training.json").read_text())
        footprint = _weight(made.weighed) if made.weighed else None
        training = {**record, "seconds": made.trained.seconds, "footprint": footprint}
    adopted = made.exported.path / "adopted.json" if made.exported and plan.recipe.model.finished else None
    document = {
        "schema": RUN_SCHEMA,
        "name": plan.recipe.name,
        "recipe_file": plan.recipe_file,
        "recipe": plan.recipe.resolved(),
        "recipe_sha256": plan.recipe.sha256(),
        "smoke": plan.smoke,
        "stages": work.stages,
        "selection": json.loads((data.path / "selection.json").read_text()),
        "adopted": json.loads(adopted.read_text()) if adopted else None,
        "training": training,
        "steps": [_step(step) for step in made.steps],
        "environment": describe(),
        "targets": [target.name for target in plan.targets],
    }
    with store.explain_os_errors(plan.run_folder):
        store.write_json(plan.run_folder / "run.json", document)


def _step(step: Step) -> dict[str, Any]:
    footprint = _weight(step.footprint)
    metrics = dict(step.record["metrics"])
    if footprint["val_accuracy"] is not None:  # of a step that is nothing but a file
        metrics["val_accuracy_after"] = footprint["val_accuracy"]
    return {**step.record, "metrics": metrics, "seconds": step.made.seconds, "footprint": footprint}


def _weight(entry: Entry) -> dict[str, Any]:
    """The figures of a footprint: those of the file, and the latency, which is not part of its content."""
    record: dict[str, Any] = json.loads((entry.path / "footprint.json").read_text())
    latency = {key: entry.figures.get(key) for key in ("latency_ms", "latency_reason", "threads", "runs")}
    return {**record, **latency}


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
