"""How does the learning rate fall slowly at both ends and fast between?"""

import math
from typing import Literal

from edgepack import contracts
from edgepack.contracts import Course, Span


class Config(contracts.ScheduleConfig):
    """Half a cosine from the peak to 0 (1608.03983)."""

    use: Literal["cosine"] = "cosine"


def rate(config: Config, peak: float, span: Span) -> Course:
    """SGDR without restarts, 1608.03983, eq. 5, with a smallest rate of 0."""
    return lambda step: peak * 0.5 * (1 + math.cos(math.pi * min(step / span.steps, 1.0)))
