"""How do compression steps train a model, alone or with a teacher?"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, NonNegativeInt, PositiveFloat

from edgepack import contracts, userfiles
from edgepack.contracts import ScheduleConfig, TechniqueContext
from edgepack.schedules import cosine
from edgepack.training.distillation import Distillation

if TYPE_CHECKING:
    from edgepack.dataset import Dataset


class TrainedConfig(contracts.TechniqueConfig):
    """Keys that every compression step which trains shares."""

    use: str = ""  # first here, so that it stays the first key of every step
    epochs: NonNegativeInt = Field(1, description="training epochs of this step")
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="peak learning rate, cosine decay")
    distill: Distillation | None = Field(None, description="a teacher for this step; {} = the trained float model")


@dataclass(frozen=True)
class Trained:
    """What training left, besides the weights.

    Attributes:
        curve: One entry per epoch, for `contracts.TechniqueResult.curve`.
        kept: The entry of the epoch whose weights were kept; empty without training.
        metrics: Figures of the teacher, empty without one; for ``TechniqueResult.metrics``.
        warnings: Sentences for ``TechniqueResult.warnings``.
    """

    curve: tuple[dict[str, float], ...]
    kept: Mapping[str, float]
    metrics: dict[str, float]
    warnings: tuple[str, ...]


def train(
    model: Any,
    data: "Dataset",
    config: TrainedConfig,
    context: TechniqueContext,
    *,
    label: str,
    schedule: ScheduleConfig | None = None,
    callbacks: Sequence[Any] = (),
    best_from_epoch: int = 0,
    preserve: bool = True,
) -> Trained:
    """Train a model in place for a compression step, with the step's teacher if it has one.

    What earlier steps made of the kernels stays: zeros and clusters, see `_preserve.held`.

    Args:
        model: tf_keras classifier, with whatever wrappers the technique put around its layers.
        data: Samples.
        config: The step's configuration: epochs, peak learning rate, teacher.
        context: The technique's context.
        label: What to call this work in progress events.
        schedule: Course of the learning rate; None = cosine.
        callbacks: tf_keras callbacks of the technique.
        best_from_epoch: First epoch (0-based) whose weights may be kept.
        preserve: False lets the zeros and clusters of earlier steps go.

    Raises:
        RecipeError: The teacher does not fit the student or the data.
        MissingError: There is no teacher.
    """
    from edgepack.techniques._preserve import held
    from edgepack.training.fit import fit
    from edgepack.training.teachers import prepare

    prepared = None
    if config.distill is not None and config.epochs:
        prepared = prepare(config.distill, model, data, context)
    with held(model) if preserve else nullcontext():
        fitted = fit(
            model,
            data,
            context.training,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            schedule=schedule or cosine.Config(),
            seed=context.seed,
            progress=context.progress,
            label=label,
            callbacks=callbacks,
            best_from_epoch=best_from_epoch,
            lesson=prepared.lesson if prepared else None,
            place=context.places.next(),
        )
    kept = fitted.curve[fitted.best_epoch - 1] if fitted.best_epoch else {}
    if prepared is None:
        return Trained(fitted.curve, kept, {}, ())
    return Trained(fitted.curve, kept, {"teacher_val_accuracy": prepared.val_accuracy}, prepared.warnings)


def identity(config: Any, base: Path) -> object:
    """JSON-ready value that changes when a teacher's file does; None when no file teaches.

    A technique that trains takes this name into its module: the pipeline asks for it when it looks for cached results.
    """
    distillation = config if isinstance(config, Distillation) else getattr(config, "distill", None)
    if distillation is None:
        return None
    paths = [
        userfiles.find(teacher, base, what="distill.teacher")
        for teacher in distillation.teachers
        if isinstance(teacher, str)
    ]
    return [userfiles.digests(path) for path in paths] or None
