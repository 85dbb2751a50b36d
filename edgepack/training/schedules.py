"""Which learning rate does each step have?"""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(peak: float, steps: int) -> Schedule:
    """The same rate at every step."""
    return lambda _: peak


def cosine(peak: float, steps: int) -> Schedule:
    """Half a cosine from ``peak`` down to 0 over ``steps`` (SGDR without restarts, 1608.03983, eq. 5)."""
    return lambda step: peak * 0.5 * (1 + math.cos(math.pi * min(step / max(1, steps), 1.0)))


def one_cycle(peak: float, steps: int, *, rise: float = 0.3, start: float = 25.0, end: float = 1e4) -> Schedule:
    """One cosine rise from ``peak / start`` to ``peak``, then one fall to ``peak / end`` (1708.07120).

    Args:
        peak: Largest rate.
        steps: Steps in the whole cycle.
        rise: Share of the steps that rise, as a fraction.
        start: The first rate is the peak divided by this.
        end: The last rate is the peak divided by this.
    """
    top = max(1.0, rise * steps)

    def rate(step: int) -> float:
        if step < top:
            low, high, share = peak / start, peak, step / top
            return low + (high - low) * 0.5 * (1 - math.cos(math.pi * share))
        share = min((step - top) / max(1.0, steps - top), 1.0)
        return peak / end + (peak - peak / end) * 0.5 * (1 + math.cos(math.pi * share))

    return rate


SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
