"""What do the cyclical learning rates share? Smith, 1506.01186."""

from collections.abc import Callable

from pydantic import Field, PositiveFloat

from edgepack import contracts
from edgepack.contracts import Course, Span


class CyclicalConfig(contracts.ScheduleConfig):
    """Keys of every cyclical rate."""

    base: PositiveFloat = Field(0.25, le=1, description="the smallest rate, as a share of the peak (1506.01186, 3.3)")
    half_cycle_epochs: PositiveFloat = Field(
        2.0, description="epochs from the smallest rate to the largest (1506.01186, 3.2)"
    )


def triangle(config: CyclicalConfig, peak: float, span: Span, amplitude: Callable[[int, int], float]) -> Course:
    """1506.01186, section 3.1: ``base + (peak - base) * max(0, 1 - x) * amplitude``.

    Args:
        config: Smallest rate and length of half a cycle.
        peak: Largest rate.
        span: Steps of the training and of an epoch.
        amplitude: Takes the number of the cycle (from 1 on) and the step (from 0 on), gives a factor.
    """
    base, half = peak * config.base, config.half_cycle_epochs * span.steps_per_epoch

    def value(step: int) -> float:
        cycle = int(1 + step / (2 * half))
        x = abs(step / half - 2 * cycle + 1)
        return base + (peak - base) * max(0.0, 1 - x) * amplitude(cycle, step)

    return value
