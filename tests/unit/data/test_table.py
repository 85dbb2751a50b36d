"""Is everything that a table's columns become learnt from training samples alone, and said when it cannot be?"""

from typing import Any

import numpy as np
import pytest

from edgepack.columns import Column, SourceColumn
from edgepack.contracts import DataConfig, Preprocessing, Samples
from edgepack.data._table import Tabulated, tabulate
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError

NAN = float("nan")


def made(
    train: list[list[float]],
    held_out: list[list[float]],
    columns: tuple[SourceColumn, ...] | None = None,
    *,
    y: list[int] | None = None,
    **keys: Any,
) -> Tabulated:
    x, other = np.array(train, np.float32), np.array(held_out, np.float32)
    labels = np.arange(len(x)) % 2 if y is None else np.array(y)
    rest = Samples(other, np.zeros(len(other), int))
    data = Dataset(Samples(x, labels), rest, rest, ("no", "yes"), Preprocessing())
    return tabulate(data, columns, DataConfig.model_validate({"table": {}, **keys}), seed=0)


def test_numbers_keep_their_values_and_statistics_are_those_of_the_training_samples() -> None:
    tabulated = made([[1, 5], [NAN, 6], [3, 7], [5, 9]], [[1000, NAN]])
    first, second = tabulated.data.columns
    assert (first.name, second.name) == ("x0", "x1")
    filled = np.array([1, 3, 3, 5])
    assert (first.fill, first.mean, first.deviation) == (3.0, filled.mean(), filled.std())
    np.testing.assert_array_equal(tabulated.data.train.x[:, 0], np.array([1, NAN, 3, 5], np.float32))
    np.testing.assert_array_equal(tabulated.data.test.x, np.array([[1000, NAN]], np.float32))


def test_median_and_no_normalisation() -> None:
    (column,) = made([[1], [NAN], [2], [90]], [[1]], table={"impute": "median", "normalise": False}).data.columns
    assert (column.fill, column.mean, column.deviation) == (2.0, 0.0, 1.0)


def test_a_vocabulary_is_that_of_the_training_samples() -> None:
    ward = (SourceColumn("ward", ("east", "north", "south", "west")),)
    tabulated = made([[3], [1], [NAN], [1]], [[0], [2], [3], [NAN]], ward)
    (column,) = tabulated.data.columns
    assert column.vocabulary == ("north", "west")
    assert (column.unknown, column.missing, column.codes) == (2, 3, (0, 1, 3))
    np.testing.assert_array_equal(tabulated.data.train.x[:, 0], [1, 0, 3, 0])
    np.testing.assert_array_equal(tabulated.data.test.x[:, 0], [2, 2, 1, 3])


def test_a_missing_category_that_training_never_saw_is_as_unknown() -> None:
    (column,) = made([[0], [1], [0], [1]], [[NAN]], (SourceColumn("ward", ("a", "b")),)).data.columns
    assert (column.codes, column.width, column.missing) == ((0, 1), 2, 3)


def test_numbers_can_be_categories() -> None:
    given = {"columns": {"x0": {"type": "category"}}}
    tabulated = made([[10], [9], [2.5], [9]], [[3]], table=given)
    assert tabulated.data.columns[0].vocabulary == ("2.5", "9", "10")
    np.testing.assert_array_equal(tabulated.data.train.x[:, 0], [2, 1, 0, 1])
    assert tabulated.data.test.x[0, 0] == tabulated.data.columns[0].unknown


@pytest.mark.parametrize("value", [7.0, NAN])
def test_a_column_with_one_value_is_refused_until_it_is_ignored(value: float) -> None:
    train, held_out = [[1, value], [2, value], [3, value], [4, value]], [[1, 8]]
    with pytest.raises(RecipeError) as caught:
        made(train, held_out)
    assert "the column 'x1' has one value in all 4 training samples" in caught.value.message
    assert caught.value.fix == "data.table.columns: {x1: {type: ignore}} leaves it out"
    tabulated = made(train, held_out, table={"columns": {"x1": {"type": "ignore"}}})
    assert [column.name for column in tabulated.data.columns] == ["x0"]
    assert tabulated.data.test.x.shape == (1, 1)


def test_all_columns_with_one_value_are_named_at_once() -> None:
    ward = (SourceColumn("ward", ("east", "north")), SourceColumn("age"), SourceColumn("height"))
    with pytest.raises(RecipeError, match="each of the columns 'ward', 'height' has one value in all 2") as caught:
        made([[1, 1, NAN], [1, 2, 7]], [[0, 1, 8]], ward)
    assert "{ward: {type: ignore}, height: {type: ignore}}" in caught.value.fix


def test_what_cannot_be_a_table_is_refused() -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        (
            {"train": [[1], [2]], "held_out": [[1]], "table": {"columns": {"x0": {"type": "ignore"}}}},
            "every column is ignored",
            "at least one",
        ),
        (
            {"train": [[1], [2]], "held_out": [[1]], "table": {"columns": {"x": {"type": "number"}}}},
            "data.table.columns: the table has no column 'x'; its columns are: x0",
            "did you mean 'x0'?",
        ),
        ({"train": [[[1]], [[2]]], "held_out": [[[1]]]}, "data.table needs a table", "drop data.table"),
        (
            {"train": [[[1]], [[2]]], "held_out": [[[1]]], "table": None, "select_features": {"use": "rfecv"}},
            "data.select_features needs a table, samples of shape (columns,), but the samples have the shape (1, 1)",
            "image_shape",
        ),
    ]
    for arguments, message, fix in cases:
        with pytest.raises(RecipeError) as caught:
            made(**arguments)
        assert message in caught.value.message
        assert fix in caught.value.fix


def informative(count: int = 240, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Ten columns of which 2, 5 and 7 say what the class is, in ranges from thousandths to thousands."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 10))
    y = (x[:, 2] + 1.5 * x[:, 5] - 2 * x[:, 7] > 0).astype(int)
    return (x * 10.0 ** np.arange(-3, 7) / 10).astype(np.float32), y


def test_columns_are_chosen_from_training_samples_only_and_named_with_their_cost() -> None:
    x, y = informative()
    select = {"use": "rfe", "features": 3, "costs": {"x5": 2.5}}
    chosen = []
    for spoil in (False, True):
        held = x[200:].copy()
        if spoil:  # columns that say everything, but not in training
            held[:, 0] = y[200:] * 1000
        rest = Samples(held, y[200:])
        data = Dataset(Samples(x[:200], y[:200]), rest, rest, ("no", "yes"), Preprocessing())
        tabulated = tabulate(data, None, DataConfig.model_validate({"select_features": select}), seed=1)
        chosen.append([(column.name, column.cost) for column in tabulated.data.columns])
        np.testing.assert_array_equal(tabulated.data.test.x, held[:, [2, 5, 7]])
    assert chosen == [[("x2", 1.0), ("x5", 2.5), ("x7", 1.0)]] * 2


def test_a_column_comes_back_from_its_manifest_form() -> None:
    for column in (
        Column("age", "number", fill=3.5, mean=1e-3, deviation=7.0, cost=2.0),
        Column("ward", "category", ("a", "b"), missing_seen=True, fill=3.0),
    ):
        assert Column.from_dict(column.to_dict()) == column
