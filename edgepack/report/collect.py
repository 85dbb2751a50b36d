"""What did a run leave in its folder, and what is missing and why?"""

from pathlib import Path

from edgepack.errors import MissingError
from edgepack.report import reading
from edgepack.report.collect_history import FOLDER
from edgepack.report.collect_target import collect_target
from edgepack.report.reading import Doc
from edgepack.report.schema import (
    SCHEMA,
    Epoch,
    Feature,
    Footprint,
    Gap,
    Layer,
    Report,
    Selection,
    Stage,
    Step,
    Training,
)

TARGET_FILES = ("manifest.json", "verify.json", "latency.json")


def collect(run_dir: Path, *, history: Path | None = None) -> Report:
    """Read everything that a run left in its folder.

    Args:
        run_dir: The folder of one recipe's run, such as out/digits.
        history: Where `edgepack bench --history` keeps measurements; default: the run's folder `history`.

    Returns:
        The report; whatever is missing, broken or of another version is a `Gap` with its reason.

    Raises:
        MissingError: It is not a folder, or not one that a run made.
    """
    if not run_dir.is_dir():
        raise MissingError(
            f"no folder {str(run_dir)!r}; expected the folder of a run, such as out/digits",
            fix="name the folder that 'edgepack run' printed, or run the recipe first",
        )
    found = sorted(p.name for p in run_dir.iterdir() if any((p / name).is_file() for name in TARGET_FILES))
    if not found and not (run_dir / "run.json").is_file():
        raise MissingError(
            f"{str(run_dir)!r} is not the folder of a run: it has neither run.json nor a target folder "
            f"with {', '.join(TARGET_FILES)}",
            fix="name the folder of one recipe (out/<recipe>), not the one above or below it",
        )
    run, reason = reading.read_document(run_dir / "run.json", "edgepack.run/1")
    listed = [name for name in reading.texts(run, "targets") if Path(name).name == name]
    names = list(dict.fromkeys([*listed, *found]))
    recipe_sha256 = reading.text(run, "recipe_sha256")
    return Report(
        schema=SCHEMA,
        name=reading.text(run, "name") or run_dir.resolve().name,
        folder=_shown(run_dir),
        recipe_file=reading.text(run, "recipe_file"),
        recipe_sha256=recipe_sha256,
        recipe=dict(reading.mapping(run, "recipe")),
        smoke=reading.flag(run, "smoke"),
        stages=tuple(_stage(stage) for stage in reading.objects(run, "stages")),
        selection=_selection(reading.mapping(run, "selection")),
        training=_training(reading.mapping(run, "training")),
        steps=tuple(_step(step) for step in reading.objects(run, "steps")),
        environment=reading.scalars(reading.mapping(run, "environment")),
        targets=tuple(collect_target(run_dir / name, recipe_sha256, history or run_dir / FOLDER) for name in names),
        gaps=_gaps(run, reason, names),
    )


def _shown(run_dir: Path) -> str:
    """The folder as a person would type it from here."""
    try:
        return run_dir.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return run_dir.as_posix()


def _gaps(run: Doc, reason: str | None, names: list[str]) -> tuple[Gap, ...]:
    gaps = [Gap("run", reason)] if reason else []
    if not reason and not reading.mapping(run, "training") and not reading.objects(run, "adopted"):
        gaps.append(Gap("training", "run.json tells nothing about training"))
    if not names:
        gaps.append(Gap("targets", "no target has left anything yet"))
    return tuple(gaps)


def _stage(doc: Doc) -> Stage:
    return Stage(
        name=reading.text(doc, "name") or "unnamed",
        label=reading.text(doc, "label"),
        seconds=reading.number(doc, "seconds"),
        cached=reading.flag(doc, "cached"),
        status=reading.text(doc, "status") or "unknown",
        reason=reading.text(doc, "reason"),
        peak_mib=reading.number(doc, "peak_mib"),
    )


def _selection(doc: Doc) -> Selection | None:
    columns = reading.objects(doc, "columns")
    if not columns:
        return None
    return Selection(
        use=reading.text(doc, "use") or "unnamed",
        budget=reading.number(doc, "budget"),
        cost=reading.number(doc, "cost"),
        features=tuple(
            Feature(
                name=reading.text(column, "name") or "unnamed",
                rank=reading.integer(column, "rank"),
                score=reading.number(column, "score"),
                cost=reading.number(column, "cost"),
                chosen=reading.flag(column, "chosen"),
            )
            for column in columns
        ),
    )


def _footprint(doc: Doc) -> Footprint | None:
    if not doc:
        return None
    return Footprint(
        precision=reading.text(doc, "precision"),
        sparsity=reading.number(doc, "sparsity"),
        raw_bytes=reading.integer(doc, "raw_bytes"),
        compressed_bytes=reading.integer(doc, "compressed_bytes"),
        p50_ms=reading.number(reading.mapping(doc, "latency_ms"), "p50"),
        reason=reading.text(doc, "reason") or reading.text(doc, "latency_reason"),
    )


def _curve(doc: Doc) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=reading.integer(point, "epoch") or index,
            loss=reading.number(point, "loss"),
            accuracy=reading.number(point, "accuracy"),
            val_loss=reading.number(point, "val_loss"),
            val_accuracy=reading.number(point, "val_accuracy"),
            learning_rate=reading.number(point, "learning_rate"),
        )
        for index, point in enumerate(reading.objects(doc, "curve"), start=1)
    )


def _training(doc: Doc) -> Training | None:
    if not doc:
        return None
    return Training(
        curve=_curve(doc),
        seconds=reading.number(doc, "seconds"),
        parameters=reading.integer(doc, "parameters"),
        layers=reading.integer(doc, "layers"),
        val_accuracy=reading.number(doc, "val_accuracy"),
        footprint=_footprint(reading.mapping(doc, "footprint")),
    )


def _step(doc: Doc) -> Step:
    return Step(
        use=reading.text(doc, "use") or "unnamed",
        seconds=reading.number(doc, "seconds"),
        curve=_curve(doc),
        metrics=reading.scalars(reading.mapping(doc, "metrics")),
        layers=tuple(
            Layer(
                layer=reading.text(layer, "layer") or "unnamed",
                kind=reading.text(layer, "class") or "unknown",
                status=reading.text(layer, "status") or "unknown",
                reason=reading.text(layer, "reason"),
            )
            for layer in reading.objects(doc, "layers")
        ),
        precision=reading.text(doc, "precision"),
        rewrites=reading.texts(doc, "rewrites"),
        warnings=reading.texts(doc, "warnings"),
        footprint=_footprint(reading.mapping(doc, "footprint")),
    )
