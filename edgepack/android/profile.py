"""Which kinds of operators take the time, by the profile that ``benchmark_model`` prints?"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_HEADING = re.compile(r"=+ Summary by node type =+")
_ROW = re.compile(
    r"^\s*(?P<type>\S.*?)[\t ]+(?P<count>\d{1,9})[\t ]+(?P<ms>[\d.]+)[\t ]+(?P<share>[\d.]+)%[\t ]+[\d.]+%"
    r"[\t ]+(?P<kib>[\d.]+)[\t ]+(?P<calls>\d{1,9})\s*$"
)


@dataclass(frozen=True)
class Operator:
    """One kind of operator: how many there are, milliseconds of one inference, and the share of the whole."""

    type: str
    count: int
    mean_ms: float
    share: float


def operators(lines: Sequence[str]) -> tuple[Operator, ...]:
    """The last summary by type in a program's output, which is the one of the timed runs; empty where there is none."""
    headings = [place for place, line in enumerate(lines) if _HEADING.search(line)]
    found = []
    for line in lines[headings[-1] + 1 :] if headings else ():
        row = _ROW.match(line)
        if row:
            mean_ms, share = _number(row["ms"]), _number(row["share"])
            if mean_ms is not None and share is not None:
                found.append(Operator(row["type"], int(row["count"]), mean_ms, share / 100))
        elif found or line.startswith("Timings"):
            break
    return tuple(found)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
