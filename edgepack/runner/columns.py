"""Are the columns of a feed those that the model takes, and how do rows of a table become its input?"""

import csv
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError

Columns = Sequence[Mapping[str, Any]]
"""The manifest's ``columns``: ``name``, ``type``, ``vocabulary``, ``unknown``, ``missing`` of each."""

MISSING = ("", "na", "n/a", "nan")
"""Texts that stand for a missing value where the manifest names none."""


def check_names(given: Sequence[str], columns: Columns) -> None:
    """Refuse a feed whose columns are not those of the model; their order is free.

    Raises:
        UsageError: One is missing, unknown or there twice.
    """
    wanted = [str(column["name"]) for column in columns]
    lacking = [name for name in wanted if name not in given]
    foreign = [name for name in given if name not in wanted]
    if lacking or foreign or len(given) != len(wanted):
        near = get_close_matches(lacking[0], foreign, n=1) if lacking else []
        problem = f"{lacking[0]!r} is missing" if lacking else f"{foreign[0]!r} is none of them" if foreign else ""
        hint = f" (is it {near[0]!r}?)" if near else ""
        raise UsageError(
            f"the feed has {len(given)} columns, the model takes these {len(wanted)}: {', '.join(wanted)}; "
            f"{problem or 'one is there twice'}{hint}"
        )


def check_order(given: Sequence[str], columns: Columns) -> None:
    """Refuse samples that were written for other columns, or for the same ones in another order.

    Raises:
        UsageError: They were.
    """
    check_names(given, columns)
    for place, (name, column) in enumerate(zip(given, columns, strict=True)):
        if name != column["name"]:
            raise UsageError(f"column {place} of the feed is {name!r}; the model takes {column['name']!r} there")


def encode(
    names: Sequence[str], rows: Sequence[Sequence[str]], columns: Columns, missing: Sequence[str] = MISSING
) -> NDArray[np.float32]:
    """Turn rows of texts into a model's input.

    Args:
        names: What stands in each place of a row.
        rows: Texts, as a CSV file holds them.
        columns: The manifest's.
        missing: Texts that stand for a missing value, casefolded.

    Returns:
        float32 of shape (rows, columns): numbers with NaN for missing ones, categories as codes.

    Raises:
        UsageError: The columns are not the model's, a row has another length, or a text is no number.
    """
    check_names(names, columns)
    encoded = np.empty((len(rows), len(columns)), dtype=np.float32)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise UsageError(f"row {number} of the feed has {len(row)} values; expected {len(names)}")
        by_name = dict(zip(names, row, strict=True))
        for place, column in enumerate(columns):
            encoded[number, place] = _code(by_name[column["name"]].strip(), column, missing, number)
    return encoded


def read_csv(path: Path, columns: Columns, missing: Sequence[str] = MISSING) -> NDArray[np.float32]:
    """Read a CSV file with a header line as `encode` does.

    Raises:
        UsageError: There is no such file, it is no CSV file, or as for `encode`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header, *rows = [row for row in csv.reader(stream) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error
    return encode([name.strip() for name in header], rows, columns, missing)


def _code(text: str, column: Mapping[str, Any], missing: Sequence[str], row: int) -> float:
    absent = text.casefold() in missing
    if column["type"] == "category":
        if absent:
            return float(column["missing"])
        return float(column["vocabulary"].index(text) if text in column["vocabulary"] else column["unknown"])
    try:
        return float("nan") if absent else float(text)
    except ValueError as error:
        raise UsageError(f"row {row} of the feed: {column['name']!r} got {text!r}; expected a number") from error
