"""Is a budget never exceeded, and is what cannot be chosen refused by name?"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack import extensions
from edgepack.columns import Matrix
from edgepack.errors import RecipeError
from edgepack.selection import Selection, select, within

NAMES = ("age", "height", "weight", "pressure")


def matrix() -> Matrix:
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 4))
    x[:, 3] = x[:, 0] + 0.3 * random.normal(size=80)  # says nearly what column 0 says
    y = (x[:, 0] > 0).astype(np.int64)
    return Matrix(x, y, (False,) * 4, ("no", "yes"))


def chosen(use: str = "mutual_information", **keys: Any) -> Selection:
    config = extensions.load("edgepack.features", use).Config.model_validate({"use": use, **keys})
    return select(config, NAMES, matrix(), seed=0)


PRICES = st.lists(st.floats(0, 50), min_size=1, max_size=12)


@given(data=st.data(), prices=PRICES, budget=st.none() | st.floats(0, 100), keep=st.none() | st.integers(1, 12))
def test_a_budget_is_never_exceeded_and_never_left_over_for_one_more(
    data: st.DataObject, prices: list[float], budget: float | None, keep: int | None
) -> None:
    order = data.draw(st.permutations(range(len(prices))))
    taken = within(order, prices, keep=keep, budget=budget)
    spent = math.fsum(prices[place] for place in taken)
    assert budget is None or spent <= budget
    assert len(set(taken)) == len(taken) <= (keep or len(prices))
    assert taken == [place for place in order if place in taken]
    if len(taken) != keep:
        left = [place for place in order if place not in taken]
        assert all(budget is not None and math.fsum([spent, prices[place]]) > budget for place in left)


@settings(max_examples=8, deadline=None)
@given(
    costs=st.lists(st.floats(0, 10), min_size=4, max_size=4),
    budget=st.floats(0, 25),
    use=st.sampled_from(["rfe", "mutual_information"]),
)
def test_no_method_goes_beyond_the_budget(costs: list[float], budget: float, use: str) -> None:
    keys = {"costs": dict(zip(NAMES, costs, strict=True)), "budget": budget}
    if min(costs) > budget:
        with pytest.raises(RecipeError, match="no column fits the budget"):
            chosen(use, **keys)
        return
    selection = chosen(use, **keys)
    assert selection.record["cost"] <= budget
    assert selection.places


def test_a_cheap_column_stands_in_for_one_that_is_too_dear() -> None:
    assert chosen(features=1).places == (0,)
    dear = chosen(features=1, costs={"age": 9}, budget=3)
    assert dear.places == (3,)
    ranks = {column["name"]: column["rank"] for column in dear.record["columns"]}
    assert ranks["age"] is None and ranks["pressure"] == 1


@pytest.mark.parametrize("use", ["rfe", "rfecv", "mutual_information"])
def test_a_budget_for_one_column_alone_needs_no_ranking(use: str) -> None:
    selection = chosen(use, costs={"weight": 0.5}, budget=0.75)
    assert (selection.places, selection.record["cost"]) == ((2,), 0.5)
    assert [column["rank"] for column in selection.record["columns"]] == [None, None, 1, None]


def test_the_record_tells_what_every_column_is_worth_and_costs() -> None:
    record = chosen(features=2, costs={"pressure": 2.5}, default_cost=0.5).record
    assert record["cost"] == 3.0
    assert [column["name"] for column in record["columns"] if column["chosen"]] == ["age", "pressure"]
    assert [column["cost"] for column in record["columns"]] == [0.5, 0.5, 0.5, 2.5]
    scores = [column["score"] for column in record["columns"]]
    assert scores[0] == max(scores)


@pytest.mark.parametrize(
    ("keys", "message", "fix"),
    [
        ({"features": 2, "costs": {"wieght": 2}}, "has no column 'wieght'; its columns are: age, height", "'weight'"),
        (
            {"budget": 0.5, "costs": {"age": 0.75}},
            "no column fits the budget of 0.5: the cheapest, 'age', costs 0.75",
            "raise the budget",
        ),
        ({}, "was told neither how many columns to keep nor what they may cost", "rfecv"),
        ({"features": 5}, "5 columns are wanted, but the table has 4", "1 to 4"),
    ],
)
def test_what_cannot_be_chosen_is_named(keys: dict[str, Any], message: str, fix: str) -> None:
    with pytest.raises(RecipeError) as caught:
        chosen(**keys)
    assert message in caught.value.message
    assert fix in caught.value.fix
