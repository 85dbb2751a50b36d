"""Are the right channels chosen, in the right number?"""

from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.channels.groups import Group
from edgepack.channels.latency import ratio
from edgepack.channels.select import Limits, choose, limits, search
from edgepack.errors import RecipeError


def network(widths: list[int], *, seed: int = 0) -> tuple[list[Group], np.ndarray]:
    """A chain of groups a, b, c ... and a score for each unit."""
    edges = np.cumsum([0, *widths])
    groups = [Group(np.arange(low, high), (chr(97 + index),)) for index, (low, high) in enumerate(pairwise(edges))]
    return groups, np.random.default_rng(seed).uniform(0.1, 1, edges[-1])


def kept(groups: list[Group], keep: np.ndarray) -> list[int]:
    return [int(keep[group.units].sum()) for group in groups]


def chain_cost(groups: list[Group]) -> object:
    """As in a chain of layers: each width times the next one."""

    def cost(keep: np.ndarray) -> float:
        widths = [3, *kept(groups, keep), 10]
        return float(sum(a * b for a, b in pairwise(widths)))

    return cost


@given(
    widths=st.lists(st.integers(1, 200), min_size=1, max_size=8),
    goal=st.floats(0.05, 0.95),
    multiple_of=st.sampled_from([1, 4, 8, 16]),
    scope=st.sampled_from(["uniform", "global"]),
)
def test_the_cost_stays_below_the_goal_and_floors_and_steps_are_kept(
    widths: list[int], goal: float, multiple_of: int, scope: str
) -> None:
    groups, scores = network(widths)
    bounds = limits(groups, multiple_of=multiple_of, min_channels=2)
    cost = chain_cost(groups)
    whole = cost(np.ones(len(scores), dtype=bool))
    try:
        keep = choose(groups, scores, cost, goal * whole, scope=scope, limits=bounds)
    except RecipeError:
        floors = np.concatenate([np.arange(len(g.units)) < bounds[g.producers].floor for g in groups])
        assert cost(floors) > goal * whole
        return
    assert cost(keep) <= goal * whole
    for group, number, width in zip(groups, kept(groups, keep), widths, strict=True):
        bound = bounds[group.producers]
        assert number == width or number == bound.floor or number % bound.step == 0
        assert number >= min(width, bound.floor)
        stays, goes = scores[group.units][keep[group.units]], scores[group.units][~keep[group.units]]
        assert not len(goes) or goes.max() <= stays.min()


def test_uniform_keeps_the_same_share_of_each_group_and_meets_the_goal() -> None:
    groups, scores = network([256, 512, 128])
    cost = chain_cost(groups)
    goal = 0.5 * cost(np.ones(len(scores), dtype=bool))
    bounds = limits(groups, multiple_of=8, min_channels=4)
    keep = choose(groups, scores, cost, goal, scope="uniform", limits=bounds)
    shares = [number / len(group.units) for number, group in zip(kept(groups, keep), groups, strict=True)]
    assert max(shares) - min(shares) <= 8 / 128
    assert 0.98 * goal <= cost(keep) <= goal


def test_global_takes_from_the_group_that_matters_least() -> None:
    groups, scores = network([64, 64])
    scores[groups[0].units] *= 0.01
    bounds = limits(groups, multiple_of=8, min_channels=4)
    cost = chain_cost(groups)
    goal = 0.5 * cost(np.ones(len(scores), dtype=bool))
    first, second = kept(groups, choose(groups, scores, cost, goal, scope="global", limits=bounds))
    assert second == 64
    assert first < 40


def test_global_takes_channels_of_equal_importance_from_all_groups_alike() -> None:
    groups, scores = network([64, 128])
    scores[:] = 1.0
    cost = chain_cost(groups)
    goal = 0.5 * cost(np.ones(len(scores), dtype=bool))
    bounds = limits(groups, multiple_of=8, min_channels=4)
    first, second = kept(groups, choose(groups, scores, cost, goal, scope="global", limits=bounds))
    assert abs(first / 64 - second / 128) <= 8 / 64


def test_a_goal_below_the_floors_is_refused_with_what_can_be_reached() -> None:
    groups, scores = network([16, 16])
    bounds = {group.producers: Limits(1, 12) for group in groups}
    with pytest.raises(RecipeError, match=r"0\.6\d\d of the cost is left, and 0\.100 was asked for"):
        choose(groups, scores, chain_cost(groups), 0.1 * (48 + 256 + 160), scope="uniform", limits=bounds)


def test_a_model_without_removable_channels_is_refused() -> None:
    with pytest.raises(RecipeError, match="no channel"):
        choose([], np.zeros(3), lambda keep: 1.0, 0.5, scope="global", limits={})


@pytest.mark.parametrize(("size", "step"), [(7, 1), (8, 2), (16, 4), (24, 4), (31, 4), (32, 8), (320, 8)])
def test_narrow_groups_have_smaller_steps(size: int, step: int) -> None:
    groups, _ = network([size])
    assert limits(groups, multiple_of=8, min_channels=1)[("a",)].step == step


@given(goal=st.floats(0.3, 0.9), overhead=st.floats(0, 0.25), bend=st.floats(0.5, 2))
def test_the_search_finds_the_fraction_of_a_machine_it_does_not_know(goal: float, overhead: float, bend: float) -> None:
    found = []

    def measure(fraction: float) -> float:
        found.append(fraction)
        return overhead + (1 - overhead) * fraction**bend

    fraction, value = search(measure, goal, tolerance=0.02, tries=8)
    assert value == measure(fraction)
    assert abs(value - goal) <= 0.02
    assert len(set(found)) <= 8


def test_the_search_ends_when_the_goal_is_out_of_reach() -> None:
    calls = count()

    def measure(fraction: float) -> float:
        next(calls)
        return 0.8 + 0.2 * fraction

    fraction, value = search(measure, 0.5, tries=5)
    assert next(calls) == 5
    assert fraction < 0.1
    assert value == measure(fraction)


def test_the_ratio_of_two_models_ignores_what_slowed_both() -> None:
    assert ratio([50, 500, 52], [100, 1000, 100]) == 0.5
