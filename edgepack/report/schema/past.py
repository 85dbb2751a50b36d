"""What did the same measurement give in the past?"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Past:
    """One earlier measurement; the interval is the 95 % one of the median."""

    when: str
    p50_ms: float
    low_ms: float | None
    high_ms: float | None
    note: str | None


@dataclass(frozen=True)
class Trend:
    """The measurements of one artifact in one runtime in one place, the oldest first."""

    artifact: str
    runtime: str
    where: str
    simulated: bool
    entries: tuple[Past, ...]
