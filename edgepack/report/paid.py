"""What did each step pay: zeros, size, compressed size, time, and for which accuracy?"""

from dataclasses import dataclass

from edgepack.report.cells import EMPTY
from edgepack.report.formatting import percent, significant
from edgepack.report.schema import Footprint, Report, Step

TITLE = "What each step paid"


def columns(report: Report) -> tuple[tuple[str, str], ...]:
    """Heading and unit of each quantity, in the order of `Paid.cells`."""
    named = f"validation {report.metric}"
    return (("sparsity", "%"), ("raw", "KiB"), ("compressed", "KiB"), ("latency", "ms"), (named, "%"))


@dataclass(frozen=True)
class Weighed:
    """The model after a step: what it weighs, and its accuracy as a fraction in [0, 1]."""

    step: str
    footprint: Footprint
    accuracy: float | None


@dataclass(frozen=True)
class Paid:
    """One line of the table: the model after a step, as a file of `precision`."""

    step: str
    precision: str
    cells: tuple[str, ...]
    reason: str | None


def weighed(report: Report) -> tuple[Weighed, ...]:
    """The trained float model, then the model after each step; empty when nothing was weighed."""
    training = report.training
    found = []
    if training and training.footprint:
        found.append(Weighed("trained", training.footprint, training.val_accuracy))
    found += [
        Weighed(f"{index}. {step.use}", step.footprint, _accuracy(step))
        for index, step in enumerate(report.steps, start=1)
        if step.footprint
    ]
    return tuple(found)


def paid(report: Report) -> tuple[Paid, ...]:
    """The same models as lines of a table."""
    return tuple(_line(model) for model in weighed(report))


def _line(model: Weighed) -> Paid:
    footprint = model.footprint
    raw, compressed = footprint.raw_bytes, footprint.compressed_bytes
    cells = (
        EMPTY if footprint.sparsity is None else percent(footprint.sparsity),
        EMPTY if raw is None else significant(raw / 1024),
        EMPTY if compressed is None else significant(compressed / 1024),
        EMPTY if footprint.p50_ms is None else significant(footprint.p50_ms),
        EMPTY if model.accuracy is None else percent(model.accuracy),
    )
    return Paid(model.step, footprint.precision or EMPTY, cells, footprint.reason)


def _accuracy(step: Step) -> float | None:
    value = step.metrics.get("val_accuracy_after")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
