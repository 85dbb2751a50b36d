"""How does the learning rate fall in steps?"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, field_validator

from edgepack import contracts
from edgepack.contracts import Course, Span


class Config(contracts.ScheduleConfig):
    """A constant rate that is multiplied by a factor at each milestone (1512.03385, 1706.02677)."""

    use: Literal["step"] = "step"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (1 / 3, 2 / 3, 8 / 9),
        min_length=1,
        description="shares of the training after which the rate falls, as fractions",
    )
    factor: PositiveFloat = Field(0.1, lt=1, description="what the rate is multiplied by at each milestone")

    @field_validator("milestones")
    @classmethod
    def _rise(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("milestones must rise")
        return milestones


def rate(config: Config, peak: float, span: Span) -> Course:
    """``peak * factor ** k`` behind ``k`` milestones; the defaults are epochs 30, 60 and 80 of 90 (1706.02677, 5.1)."""
    return lambda step: peak * config.factor ** sum(step >= share * span.steps for share in config.milestones)
