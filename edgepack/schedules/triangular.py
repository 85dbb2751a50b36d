"""How does the learning rate go up and down between two bounds?"""

from typing import Literal

from edgepack.contracts import Course, Span
from edgepack.schedules._cyclical import CyclicalConfig, triangle


class Config(CyclicalConfig):
    """Straight up and straight down, again and again (1506.01186)."""

    use: Literal["triangular"] = "triangular"


def rate(config: Config, peak: float, span: Span) -> Course:
    """The policy ``triangular`` of 1506.01186."""
    return triangle(config, peak, span, lambda *_: 1.0)
