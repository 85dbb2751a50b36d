"""What would be gained and given up with the next best instead of the one to ship?"""

from edgepack.report.formatting import percent, points, runtime_name, significant
from edgepack.report.schema import Row, Verdict

ALIKE = 0.02
"""Sizes and times that differ by less are called the same."""


def alternative(verdict: Verdict, table: tuple[Row, ...]) -> str | None:
    """One sentence about the next best that passed, or None where nothing else did.

    Args:
        verdict: What to ship to one target.
        table: All rows of the report.
    """
    best = verdict.row
    if best is None:
        return None
    others = [row for row in table if row.target == best.target and row.verdict == "ok" and row != best]
    # Times of different places are not compared.
    timed = [row for row in others if row.p50_ms is not None and row.where == best.where and best.p50_ms is not None]
    if timed:
        other = min(timed, key=lambda row: row.p50_ms or 0.0)
    elif others:
        other = min(others, key=lambda row: row.size_kib or float("inf"))
    else:
        return None
    words = [_time(best, other) if other in timed else "", _size(best, other), _accuracy(best, other)]
    told = ", ".join(word for word in words if word)
    return f"Next best: {other.artifact} in {runtime_name(other.runtime)}{', ' if told else ''}{told}."


def _time(best: Row, other: Row) -> str:
    if not best.p50_ms or other.p50_ms is None:
        return ""
    ratio = other.p50_ms / best.p50_ms
    if abs(ratio - 1) < ALIKE:
        return f"as fast ({significant(other.p50_ms)} ms)"
    word = "slower" if ratio > 1 else "faster"
    return f"{_change(ratio)} {word} ({significant(other.p50_ms)} ms)"


def _size(best: Row, other: Row) -> str:
    if not best.size_kib or other.size_kib is None:
        return ""
    ratio = other.size_kib / best.size_kib
    if abs(ratio - 1) < ALIKE:
        return "the same size"
    return f"{_change(ratio)} {'larger' if ratio > 1 else 'smaller'} ({significant(other.size_kib)} KiB)"


def _accuracy(best: Row, other: Row) -> str:
    if best.accuracy is None or other.accuracy is None:
        return ""
    gained = 100 * (other.accuracy - best.accuracy)
    if round(abs(gained), 2) == 0:
        return f"the same {percent(other.accuracy)} %"
    return f"{points(abs(gained))} points {'better' if gained > 0 else 'worse'}"


def _change(ratio: float) -> str:
    return f"{abs(100 * (ratio - 1)):,.0f} %"
