"""How does the learning rate go up and down, half as high each time?"""

from typing import Literal

from edgepack.contracts import Course, Span
from edgepack.schedules._cyclical import CyclicalConfig, triangle


class Config(CyclicalConfig):
    """As ``triangular``; the distance between the bounds is halved after each cycle (1506.01186)."""

    use: Literal["triangular2"] = "triangular2"


def rate(config: Config, peak: float, span: Span) -> Course:
    """The policy ``triangular2`` of 1506.01186."""
    return triangle(config, peak, span, lambda cycle, _: 0.5 ** (cycle - 1))
