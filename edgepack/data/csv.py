"""How is a table of numbers read from a CSV file?"""

import csv
from pathlib import Path

from pydantic import Field

from edgepack import contracts, userfiles
from edgepack.contracts import RawData, Samples
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean


class Config(contracts.DataConfig):
    """A CSV file with a header line; every column but the target holds numbers."""

    csv: str = Field(description="path of the .csv file")
    target: str = Field(description="column with the class; its distinct values, sorted, become the labels")


def identity(config: Config, base: Path) -> object:
    """The file's digest."""
    return userfiles.digest(userfiles.find(config.csv, base, what="data.csv"))


def load(config: Config, base: Path) -> RawData:
    """Load features as float32 of shape (n, columns - 1)."""
    import numpy as np

    path = userfiles.find(config.csv, base, what="data.csv")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *records = [row for row in csv.reader(stream) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{path} is no readable CSV file: {error}", fix="save it as UTF-8 CSV") from error
    if config.target not in header:
        raise RecipeError(
            f"data.target: {path} has no column {config.target!r}; its columns are: {', '.join(header)}",
            fix=did_you_mean(config.target, header) or "name one of them",
        )
    position = header.index(config.target)
    rows, classes = [], []
    for number, record in enumerate(records, start=2):
        if len(record) != len(header):
            raise RecipeError(
                f"{path}:{number}: expected {len(header)} values, received {len(record)}",
                fix="repair the line",
            )
        classes.append(record[position])
        try:
            rows.append([float(value) for index, value in enumerate(record) if index != position])
        except ValueError as error:
            raise RecipeError(f"{path}:{number}: expected numbers: {error}", fix="repair or drop the line") from error
    labels = tuple(sorted(set(classes)))
    codes = {label: code for code, label in enumerate(labels)}
    y = np.array([codes[value] for value in classes], dtype=np.int64)
    return RawData(Samples(np.array(rows, dtype=np.float32), y), None, None, labels)
