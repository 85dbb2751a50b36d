"""How does one rise and one fall of the learning rate train fast (super-convergence)?"""

import math
from typing import Literal

from pydantic import Field, PositiveFloat

from edgepack import contracts
from edgepack.contracts import Course, Span


class Config(contracts.ScheduleConfig):
    """One rise to the peak, one fall far below the start; the momentum goes the other way (1708.07120, 1803.09820)."""

    use: Literal["one_cycle"] = "one_cycle"
    rise: PositiveFloat = Field(0.3, lt=1, description="share of the steps that rise, as a fraction")
    start: PositiveFloat = Field(25.0, ge=1, description="the first rate is the peak divided by this")
    end: PositiveFloat = Field(1e4, ge=1, description="the last rate is the peak divided by this")
    momentum: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="[at the ends, at the peak], e.g. [0.95, 0.85]; Adam: beta_1; absent = the optimizer's own"
    )


def rate(config: Config, peak: float, span: Span) -> Course:
    """A cosine rise from ``peak / start`` to ``peak``, then a cosine fall to ``peak / end``."""
    return _there_and_back(config.rise, span, peak / config.start, peak, peak / config.end)


def momentum(config: Config, span: Span) -> Course | None:
    """A fall from the first momentum to the second while the rate rises, and back (1803.09820, section 4.3)."""
    if config.momentum is None:
        return None
    ends, middle = config.momentum
    return _there_and_back(config.rise, span, ends, middle, ends)


def _there_and_back(rise: float, span: Span, first: float, middle: float, last: float) -> Course:
    top = max(1.0, rise * span.steps)

    def value(step: int) -> float:
        if step < top:
            return _cosine(first, middle, step / top)
        return _cosine(middle, last, min((step - top) / max(1.0, span.steps - top), 1.0))

    return value


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * share))
