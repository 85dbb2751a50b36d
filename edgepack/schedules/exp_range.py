"""How does the learning rate go up and down, less high at each step?"""

from typing import Literal

from pydantic import Field, PositiveFloat

from edgepack.contracts import Course, Span
from edgepack.schedules._cyclical import CyclicalConfig, triangle


class Config(CyclicalConfig):
    """As ``triangular``; the distance between the bounds shrinks by a factor at each step (1506.01186)."""

    use: Literal["exp_range"] = "exp_range"
    gamma: PositiveFloat = Field(0.99994, le=1, description="factor of each step; the default is the paper's")


def rate(config: Config, peak: float, span: Span) -> Course:
    """The policy ``exp_range`` of 1506.01186: the amplitude is ``gamma ** step``."""
    return triangle(config, peak, span, lambda _, step: config.gamma**step)
