"""What did the same measurement give in the past?"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Past:
    """One earlier measurement: the median, its 95 % interval, the flags that it had; `when` is UTC, ISO 8601."""

    when: str
    p50_ms: float
    low_ms: float | None
    high_ms: float | None
    note: str | None
    sha256: str | None


@dataclass(frozen=True)
class Trend:
    """The measurements of one artifact in one runtime in one place, the oldest first."""

    artifact: str
    runtime: str
    where: str
    threads: int
    simulated: bool
    entries: tuple[Past, ...]
