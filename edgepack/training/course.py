"""Which learning rate and which momentum does each step of one training have, batch size and warm-up included?"""

from typing import Annotated

from edgepack import extensions
from edgepack.config import Extension
from edgepack.contracts import Course, ScheduleConfig, Span

AnySchedule = Annotated[ScheduleConfig, Extension("edgepack.schedules", by="use")]
"""The type of a key that names a schedule."""


def rate(schedule: ScheduleConfig, peak: float, span: Span, *, warmup_epochs: float = 0, scaling: float = 1) -> Course:
    """The learning rate at each step.

    Goyal et al., "Accurate, large minibatch SGD", 1706.02677: when the batch is k times as large, so is the rate (2.1),
    and over the first epochs it grows by a constant amount a step from what it was without that factor (2.2). With no
    factor above 1, it grows from 0.

    Args:
        schedule: Configuration of a schedule.
        peak: Its largest rate before scaling.
        span: Length of the training.
        warmup_epochs: Epochs of the warm-up; 0 = none. The schedule goes on underneath.
        scaling: Batch size divided by the batch size that ``peak`` is meant for.
    """
    plain = extensions.load("edgepack.schedules", extensions.name_of(schedule)).rate(schedule, peak * scaling, span)
    steps = warmup_epochs * span.steps_per_epoch
    if not steps:
        return plain  # type: ignore[no-any-return] # an extension is loaded by name
    first = 1 / scaling if scaling > 1 else 0.0
    return lambda step: plain(step) * (first + (1 - first) * min(step / steps, 1.0))


def momentum(schedule: ScheduleConfig, span: Span) -> Course | None:
    """The momentum at each step, or None when the schedule leaves it as it is."""
    found = getattr(extensions.load("edgepack.schedules", extensions.name_of(schedule)), "momentum", None)
    return None if found is None else found(schedule, span)
