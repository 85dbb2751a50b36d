"""How do the columns of a source become those of the model: their types, vocabularies, statistics, choice?

Everything that is learnt from samples is learnt from the training samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.columns import Column, ColumnConfig, Matrix, SourceColumn, TableConfig
from edgepack.contracts import DataConfig, Samples
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.selection import select
from edgepack.suggest import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float32]


@dataclass(frozen=True)
class Tabulated:
    """A data set whose samples are rows of columns.

    Attributes:
        data: Its samples are float32 of shape (n, columns).
        selection: How the columns were chosen, JSON-ready; None when all were taken.
    """

    data: Dataset
    selection: Any


def tabulate(data: Dataset, source: Sequence[SourceColumn] | None, config: DataConfig, *, seed: int) -> Tabulated:
    """Type the columns of split samples, and choose among them.

    Args:
        data: Split samples of shape (n, columns).
        source: The source's columns, or None when it has no names for them: they are ``x0``, ``x1`` ...
        config: The recipe's data section.
        seed: The recipe's seed.

    Raises:
        RecipeError: The samples are no table, a column is unknown or has one value in all training samples,
            or none is left.
    """
    _check_table(data, config)
    settings = config.table or TableConfig()
    known = tuple(source or (SourceColumn(f"x{place}") for place in range(data.input_shape[0])))
    _check_names(known, settings)
    columns, encoded, constant = [], [], []
    for place, column in enumerate(known):
        wanted = settings.columns.get(column.name)
        if wanted is not None and wanted.type == "ignore":
            continue
        parts = [np.asarray(part.x[:, place], np.float32) for part in (data.train, data.validation, data.test)]
        fitted, values = _fitted(column, wanted, settings, parts)
        if fitted is None:
            constant.append(column.name)
        else:
            columns.append(fitted)
            encoded.append(values)
    _refuse_constant(constant, len(data.train.y))
    if not columns:
        raise RecipeError("data.table.columns: every column is ignored", fix="leave at least one to the model")
    selection = None
    places: Sequence[int] = range(len(columns))
    if config.select_features is not None:
        matrix = Matrix(
            np.stack([values[0] for values in encoded], axis=1).astype(np.float64),
            np.asarray(data.train.y, np.int64),
            tuple(column.type == "category" for column in columns),
            data.labels,
        )
        selection = select(config.select_features, [column.name for column in columns], matrix, seed=seed)
        places = selection.places
        columns = [replace(column, cost=selection.costs[column.name]) for column in columns]
    splits = [
        Samples(np.stack([encoded[place][index] for place in places], axis=1), part.y)
        for index, part in enumerate((data.train, data.validation, data.test))
    ]
    made = replace(
        data, train=splits[0], validation=splits[1], test=splits[2], columns=tuple(columns[place] for place in places)
    )
    return Tabulated(made, None if selection is None else dict(selection.record))


def _check_table(data: Dataset, config: DataConfig) -> None:
    if len(data.input_shape) != 1:
        key = "data.select_features" if config.select_features is not None else "data.table"
        raise RecipeError(
            f"{key} needs a table, samples of shape (columns,), but the samples have the shape {data.input_shape}",
            fix=f"drop {key}, or give flat samples (without image_shape)",
        )


def _check_names(columns: Sequence[SourceColumn], settings: TableConfig) -> None:
    names = [column.name for column in columns]
    for name in settings.columns:
        if name not in names:
            raise RecipeError(
                f"data.table.columns: the table has no column {name!r}; its columns are: {', '.join(names)}",
                fix=did_you_mean(name, names) or "name one of them",
            )


def _refuse_constant(names: Sequence[str], samples: int) -> None:
    if names:
        listed = ", ".join(repr(name) for name in names)
        has = "the column {} has" if len(names) == 1 else "each of the columns {} has"
        ignored = ", ".join(f"{name}: {{type: ignore}}" for name in names)
        raise RecipeError(
            f"data: {has.format(listed)} one value in all {samples} training samples: nothing can be learnt from it",
            fix=f"data.table.columns: {{{ignored}}} leaves it out",
        )


def _fitted(
    column: SourceColumn, wanted: ColumnConfig | None, settings: TableConfig, parts: "Sequence[Values]"
) -> "tuple[Column | None, list[Values]]":
    """A column as its training samples show it, and the values of all splits; no column where they show one value."""
    category = column.values is not None if wanted is None else wanted.type == "category"
    return _category(column, parts) if category else _number(column.name, settings, parts)


def _number(name: str, settings: TableConfig, parts: "Sequence[Values]") -> "tuple[Column | None, list[Values]]":
    train = parts[0].astype(np.float64)
    present = train[~np.isnan(train)]
    if present.size == 0 or present.min() == present.max():
        return None, []
    fill = float(np.float32(np.mean(present) if settings.impute == "mean" else np.median(present)))
    filled = np.where(np.isnan(train), fill, train)
    mean, deviation = (float(filled.mean()), float(filled.std())) if settings.normalise else (0.0, 1.0)
    return Column(name, "number", fill=fill, mean=mean, deviation=deviation), list(parts)


def _category(column: SourceColumn, parts: "Sequence[Values]") -> "tuple[Column | None, list[Values]]":
    """Codes by the vocabulary of the training samples, in the order of the source's values or of the numbers."""
    train = parts[0]
    held = np.unique(train[~np.isnan(train)])
    if len(held) + bool(np.isnan(train).any()) < 2:
        return None, []
    texts = tuple(column.values[int(value)] if column.values else format(value, "g") for value in held)
    missing = bool(np.isnan(train).any())
    fitted = Column(column.name, "category", vocabulary=texts, missing_seen=missing, fill=float(len(held) + 1))
    return fitted, [_codes(part, held, fitted) for part in parts]


def _codes(values: "Values", held: "Values", column: Column) -> "Values":
    places = np.minimum(np.searchsorted(held, values), len(held) - 1)
    codes = np.where(held[places] == values, places, column.unknown)
    return np.where(np.isnan(values), column.missing, codes).astype(np.float32)
