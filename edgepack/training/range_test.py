"""Which learning rate does a range test suggest?

Smith, "Cyclical learning rates for training neural networks", 1506.01186, section 3.3: the rate grows while a model
trains; where the loss falls fastest is a good peak, and where it stops falling is the bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgepack.contracts import Course

SMOOTHING = 0.9
"""Share of the moving average of the loss that each step keeps."""

DIVERGED = 4.0
"""The test ends when the loss is so many times the smallest."""


@dataclass(frozen=True)
class Suggestion:
    """What the curve says.

    Attributes:
        rate: Where the loss falls fastest, over the logarithm of the rate.
        bound: Where the loss is smallest; above it training becomes unstable.
    """

    rate: float
    bound: float


def growing(low: float, high: float, steps: int) -> Course:
    """Rates that grow from ``low`` to ``high`` by the same factor in each step."""
    return lambda step: low * (high / low) ** (min(step, steps - 1) / max(1, steps - 1))


def smoothed(losses: Sequence[float], keep: float = SMOOTHING) -> list[float]:
    """A moving average that starts where the values start (bias-corrected, as in Adam, 1412.6980, section 3)."""
    average, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        average = keep * average + (1 - keep) * loss
        found.append(average / (1 - keep**step))
    return found


def suggest(rates: Sequence[float], losses: Sequence[float]) -> Suggestion | None:
    """Read a range test; None when the loss never fell by a tenth.

    Args:
        rates: Rising learning rates, one a step.
        losses: Smoothed training loss of each step.
    """
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if lowest < 2 or losses[lowest] > 0.9 * losses[0]:
        return None
    logs = [math.log(rate) for rate in rates]
    slopes = [(losses[step + 1] - losses[step - 1]) / (logs[step + 1] - logs[step - 1]) for step in range(1, lowest)]
    steepest = 1 + min(range(len(slopes)), key=slopes.__getitem__)
    return Suggestion(rate=rates[steepest], bound=rates[lowest])
