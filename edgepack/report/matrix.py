"""Which ways of computing the same outputs agree, all against all?"""

from dataclasses import dataclass

from edgepack.report.formatting import compact, percent, runtime_name, significant
from edgepack.report.schema import Pair, Side, Target


@dataclass(frozen=True)
class Cell:
    """One pair: the share of equal answers as text, its grade from 0 (much differs) to 4 (all equal), every figure."""

    text: str
    grade: int
    status: str | None
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Matrix:
    """The pairs of one target: a row and a column for each way, as far as it was compared; None where two were not."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, str], tuple[Cell | None, ...]], ...]


def matrix_of(target: Target) -> Matrix | None:
    """The matrix of a target, or None when fewer than two ways were compared."""
    pairs = {
        (_name(pair.a), _name(pair.b)): pair
        for pair in target.pairs
        if _name(pair.a) != _name(pair.b) and not pair.inside
    }
    names = list(dict.fromkeys(name for both in pairs for name in both))
    names = sorted(names, key=lambda name: name[1] != "Keras")
    if len(names) < 2:
        return None
    places = {name: place for place, name in enumerate(names)}
    cells = {}
    for (one, other), pair in pairs.items():
        column, row = sorted((one, other), key=lambda name: places[name])
        cells[row, column] = _cell(pair)
    columns = tuple(name for name in names if any(name == column for _, column in cells))
    return Matrix(
        columns,
        tuple(
            (name, tuple(cells.get((name, column)) for column in columns))
            for name in names
            if any(name == row for row, _ in cells)
        ),
    )


def _name(side: Side) -> tuple[str, str]:
    runtime = runtime_name(side.runtime)
    return side.file.removeprefix("model."), f"{runtime} {side.kernels}" if side.kernels else runtime


def _cell(pair: Pair) -> Cell:
    share = pair.top1_agreement
    facts = [
        (name, value)
        for name, value in (
            ("Same answer", None if share is None else f"{percent(share)} %"),
            ("Largest difference", None if pair.max_abs_difference is None else compact(pair.max_abs_difference)),
            ("In steps of int8", None if pair.max_lsb_difference is None else compact(pair.max_lsb_difference)),
            ("SQNR", None if pair.sqnr_db is None else f"{significant(pair.sqnr_db)} dB"),
            ("Samples", None if pair.samples is None else f"{pair.samples:,}"),
            ("Judged", "yardstick" if pair.yardstick else pair.status),
        )
        if value is not None
    ]
    return Cell("–" if share is None else _share(share), _grade(share), pair.status, tuple(facts))


def _share(share: float) -> str:
    return "100" if share == 1 else f"{100 * share:.1f}" if share < 0.9995 else "99.9"


def _grade(share: float | None) -> int:
    if share is None:
        return 0
    return sum(share >= least for least in (0.9, 0.97, 0.99, 1.0))
