"""What if the learning rate stays as it is?"""

from typing import Literal

from edgepack import contracts
from edgepack.contracts import Course, Span


class Config(contracts.ScheduleConfig):
    """The same rate at every step."""

    use: Literal["constant"] = "constant"


def rate(config: Config, peak: float, span: Span) -> Course:
    """``peak`` at every step."""
    return lambda _: peak
