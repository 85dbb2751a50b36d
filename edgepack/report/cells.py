"""How does each row of the final table read, cell by cell, whatever it is then rendered with?"""

from collections.abc import Callable

from edgepack.report.formatting import percent, points, significant
from edgepack.report.schema import Row

FORMATS: dict[str, Callable[[float], str]] = {
    "size_kib": significant,
    "accuracy_float": percent,
    "accuracy": percent,
    "drop_points": points,
    "p50_ms": significant,
    "p90_ms": significant,
    "image_mib": significant,
}
EMPTY = "–"
GLYPHS = {"ok": "✓", "ship": "✓", "failed": "✗", "not judged": "–"}


def cell(row: Row, field: str) -> str:
    """One quantity of a row as text, or a dash when there is none (its reason is in `row.missing`)."""
    value: float | None = getattr(row, field)
    return EMPTY if value is None else FORMATS[field](value)


def place(row: Row) -> str:
    """Where the latency of a row was measured."""
    if row.where is None:
        return EMPTY
    return f"{row.where}, emulated" if row.emulated else row.where
