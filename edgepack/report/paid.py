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
class Paid:
    """One line of the table: the model after a step, as a file of `precision`."""

    step: str
    precision: str
    cells: tuple[str, ...]
    reason: str | None


def paid(report: Report) -> tuple[Paid, ...]:
    """The trained float model, then the model after each step; empty when nothing was weighed."""
    training = report.training
    lines = []
    if training and training.footprint:
        lines.append(_line("trained", training.footprint, training.val_accuracy))
    lines += [
        _line(f"{index}. {step.use}", step.footprint, _accuracy(step))
        for index, step in enumerate(report.steps, start=1)
        if step.footprint
    ]
    return tuple(lines)


def _line(name: str, footprint: Footprint, accuracy: float | None) -> Paid:
    raw, compressed = footprint.raw_bytes, footprint.compressed_bytes
    cells = (
        EMPTY if footprint.sparsity is None else percent(footprint.sparsity),
        EMPTY if raw is None else significant(raw / 1024),
        EMPTY if compressed is None else significant(compressed / 1024),
        EMPTY if footprint.p50_ms is None else significant(footprint.p50_ms),
        EMPTY if accuracy is None else percent(accuracy),
    )
    return Paid(name, footprint.precision or EMPTY, cells, footprint.reason)


def _accuracy(step: Step) -> float | None:
    value = step.metrics.get("val_accuracy_after")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
