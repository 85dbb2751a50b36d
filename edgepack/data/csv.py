"""How is a table of numbers and categories read from a CSV file?"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from edgepack import contracts, userfiles
from edgepack.columns import SourceColumn, TableConfig
from edgepack.contracts import RawData, Samples
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean

MANY = 100
"""More different texts in a column, and more than half as many as there are lines, are names and no categories."""


class Config(contracts.DataConfig):
    """A CSV file with a header line; every column but the target holds numbers or categories."""

    csv: str = Field(description="path of the .csv file")
    target: str = Field(description="column with the class; its distinct values, sorted, become the labels")
    missing: tuple[str, ...] = Field(
        ("", "NA", "N/A", "nan"), description="texts that stand for a missing value, in upper or lower case"
    )
    table: TableConfig | None = Field(
        default_factory=TableConfig, description="how columns become features; null = plain numbers, none missing"
    )


def identity(config: Config, base: Path) -> object:
    """The file's digest."""
    return userfiles.digest(userfiles.find(config.csv, base, what="data.csv"))


def load(config: Config, base: Path) -> RawData:
    """Load columns as float32 of shape (n, columns - 1): numbers, or places in the sorted texts of a category."""
    import numpy as np

    path = userfiles.find(config.csv, base, what="data.csv")
    header, records = _read(path)
    if config.target not in header:
        raise RecipeError(
            f"data.target: {path} has no column {config.target!r}; its columns are: {', '.join(header)}",
            fix=did_you_mean(config.target, header) or "name one of them",
        )
    classes = [record[header.index(config.target)].strip() for _, record in records]
    absent = {text.casefold() for text in config.missing}
    columns, values = [], []
    for place, name in enumerate(header):
        if name != config.target:
            texts = [None if (text := record[place].strip()).casefold() in absent else text for _, record in records]
            column, numbers = _column(config, path, name, texts, [number for number, _ in records])
            columns.append(column)
            values.append(numbers)
    labels = tuple(sorted(set(classes)))
    codes = {label: code for code, label in enumerate(labels)}
    x = np.array(values, dtype=np.float32).reshape(len(columns), len(records)).T
    y = np.array([codes[value] for value in classes], dtype=np.int64)
    return RawData(Samples(x, y), None, None, labels, tuple(columns))


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names in the first line, and every further line that holds something, with its number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header, *records = [(reader.line_num, row) for row in reader if row] or [(1, [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{path} is no readable CSV file: {error}", fix="save it as UTF-8 CSV") from error
    names = [name.strip() for name in header[1]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RecipeError(f"{path} has several columns {twice[0]!r}", fix="give each a name of its own")
    for number, record in records:
        if len(record) != len(names):
            raise RecipeError(
                f"{path}:{number}: expected {len(names)} values, received {len(record)}",
                fix="repair the line",
            )
    return names, records


def _column(
    config: Config, path: Path, name: str, texts: Sequence[str | None], lines: Sequence[int]
) -> tuple[SourceColumn, list[float]]:
    """Numbers where every text is one, or where the recipe says so; else the places of the texts among all of them."""
    wanted = config.table.columns.get(name) if config.table else None
    parsed = [math.nan if text is None else _number(text) for text in texts]
    wrong = [index for index, value in enumerate(parsed) if value is None]
    if not wrong and (wanted is None or wanted.type == "number"):
        return SourceColumn(name), [math.nan if value is None else value for value in parsed]
    if config.table is None or (wanted is not None and wanted.type == "number"):
        raise RecipeError(
            f"{path}:{lines[wrong[0]]}: expected numbers in the column {name!r}, received {texts[wrong[0]]!r}",
            fix="repair or drop the line, or name what stands for a missing value in data.missing",
        )
    values = sorted({text for text in texts if text is not None}, key=_order)
    if wanted is None:
        _refuse_names(path, name, len(values), len(texts))
    places = {value: float(place) for place, value in enumerate(values)}
    return SourceColumn(name, tuple(values)), [math.nan if text is None else places[text] for text in texts]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _order(text: str) -> tuple[float, str]:
    """Numbers by their value, then all other texts."""
    value = _number(text)
    return (math.inf if value is None or math.isnan(value) else value, text)


def _refuse_names(path: Path, name: str, different: int, count: int) -> None:
    if different > MANY and different > count / 2:
        raise RecipeError(
            f"data.csv: the column {name!r} of {path} holds {different} different texts in {count} lines: "
            "neither numbers nor categories",
            fix=f"data.table.columns: {{{name}: {{type: ignore}}}} leaves it out, `type: category` takes it anyway",
        )
