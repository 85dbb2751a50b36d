"""What is a column of a table, and what may a recipe say about its columns?

A model of a table is fed with raw values: float32 of shape (n, columns). A number stands as it is, a missing one as
NaN. A category stands as its place in the column's vocabulary; the next number means a category that no training
sample has, the one after that a missing one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeFloat

from edgepack.config import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["number", "category"]


class ColumnConfig(Config):
    """What a recipe says about one column."""

    type: Literal["number", "category", "ignore"] = Field(description="number, category, or ignore: it is left out")


class TableConfig(Config):
    """How raw columns become what the first trained layer reads; all of it is part of the model."""

    impute: Literal["mean", "median"] = Field(
        "mean", description="what stands in for a missing number: mean or median of the training samples"
    )
    normalise: bool = Field(True, description="numbers get mean 0 and standard deviation 1 over the training samples")
    columns: dict[str, ColumnConfig] = Field(
        default_factory=dict, description="types of columns where the source's own are not right, by name"
    )


class SelectionConfig(Config):
    """Keys that every feature selection shares."""

    costs: dict[str, NonNegativeFloat] = Field(
        default_factory=dict, description="what a column costs, by name: a sensor's price, the time to read it"
    )
    default_cost: NonNegativeFloat = Field(1.0, description="what a column costs that `costs` does not name")
    budget: NonNegativeFloat | None = Field(None, description="what all chosen columns may cost together")


@dataclass(frozen=True)
class SourceColumn:
    """A column as a data source hands it over.

    Attributes:
        name: Its name.
        values: The texts of a category, whose samples hold places in this list; None for a column of numbers.
    """

    name: str
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Column:
    """A column as the model takes it in.

    Attributes:
        name: Its name.
        type: What it holds.
        vocabulary: The categories of the training samples; the place is the code.
        missing_seen: True when training samples miss it; only then is there something to learn about that.
        fill: What stands in for NaN: a number's mean or median, the code of a missing category.
        mean: What is subtracted from a number.
        deviation: What a number is divided by, after that.
        cost: What reading it costs, where the recipe says so.
    """

    name: str
    type: Kind
    vocabulary: tuple[str, ...] = ()
    missing_seen: bool = False
    fill: float = 0.0
    mean: float = 0.0
    deviation: float = 1.0
    cost: float | None = None

    @property
    def unknown(self) -> int:
        """The code of a category that no training sample has."""
        return len(self.vocabulary)

    @property
    def missing(self) -> int:
        """The code of a missing category."""
        return len(self.vocabulary) + 1

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of a category that become a feature of their own; all others are 0 in each of these."""
        return (*range(len(self.vocabulary)), *((self.missing,) if self.missing_seen else ()))

    @property
    def width(self) -> int:
        """Features that the column becomes."""
        return 1 if self.type == "number" else len(self.codes)

    def to_dict(self) -> dict[str, Any]:
        """The column as JSON values, in the form of the manifest."""
        number = self.type == "number"
        return {
            "name": self.name,
            "type": self.type,
            "vocabulary": None if number else list(self.vocabulary),
            "unknown": None if number else self.unknown,
            "missing": None if number else self.missing,
            "missing_seen": self.missing_seen,
            "fill": self.fill,
            "mean": self.mean,
            "deviation": self.deviation,
            "cost": self.cost,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Column":
        """Read what `to_dict` writes."""
        return cls(
            name=values["name"],
            type=values["type"],
            vocabulary=tuple(values["vocabulary"] or ()),
            missing_seen=values["missing_seen"],
            fill=values["fill"],
            mean=values["mean"],
            deviation=values["deviation"],
            cost=values["cost"],
        )


def width(columns: Sequence[Column]) -> int:
    """How many features the first trained layer reads."""
    return sum(column.width for column in columns)


@dataclass(frozen=True)
class Matrix:
    """The training samples from which columns are chosen.

    Attributes:
        x: float64 of shape (n, columns): numbers with NaN for missing, categories as codes.
        y: Integer classes of shape (n,).
        categories: True for each column that holds codes.
        labels: Names of the classes.
    """

    x: "NDArray[np.float64]"
    y: "NDArray[np.int64]"
    categories: tuple[bool, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """What a method of feature selection found.

    Attributes:
        order: Places of all columns, the best one first.
        keep: How many of them are wanted; None = as many as the budget allows.
        scores: What the method knows of each column, in the columns' own order; higher is better. None = an order only.
        curve: Mean accuracy on held-out folds by number of columns, of a method that looks at it.
    """

    order: tuple[int, ...]
    keep: int | None
    scores: tuple[float, ...] | None = None
    curve: tuple[tuple[int, float], ...] = ()
