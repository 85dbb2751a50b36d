"""Which units stay so that a model meets its goal?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgepack.channels.groups import Group
from edgepack.channels.importance import Scores
from edgepack.channels.macs import Keep
from edgepack.channels.symbols import Symbols
from edgepack.errors import RecipeError

Scope = Literal["uniform", "global"]
LEVELS = 4
"""A group is cut in steps of `multiple_of` when it holds that many of them; a narrower one in half steps, and so on."""
SMALLEST_SHARE = 0.1
"""No group keeps less than this share of its units, so that no layer is closed by a global ranking."""


@dataclass(frozen=True)
class Limits:
    """How far and in which steps a group may shrink."""

    step: int
    floor: int


def limits(groups: Sequence[Group], *, multiple_of: int, min_channels: int) -> dict[tuple[str, ...], Limits]:
    """Steps and floors of groups as they are at first, by their producers.

    Args:
        groups: Groups of the whole model.
        multiple_of: Kept counts are multiples of this in groups of at least `LEVELS` times as many units; in
            narrower groups the step is halved until `LEVELS` steps fit.
        min_channels: Smallest number of units that a group keeps.
    """
    found = {}
    for group in groups:
        step, size = multiple_of, len(group.units)
        while step > 1 and size < LEVELS * step:
            step //= 2
        floor = max(min_channels, int(np.ceil(SMALLEST_SHARE * size)), 1)
        found[group.producers] = Limits(step, floor)
    return found


def choose(
    groups: Sequence[Group],
    scores: Scores,
    cost: Callable[[Keep], float],
    goal: float,
    *,
    scope: Scope,
    limits: Mapping[tuple[str, ...], Limits],
) -> Keep:
    """Keep the most important units such that the cost is at most ``goal``, and near it.

    Where rounding to steps left room, each group may have one step more; not several, which would give up the shares
    or the ranking that the scope asks for.

    Args:
        groups: Groups of removable units; units outside of them stay.
        scores: Importance of each unit.
        cost: Cost of the model that keeps these units; it must not rise when fewer stay.
        goal: Largest cost, in the unit of ``cost``.
        scope: ``uniform`` keeps the same share of each group; ``global`` the most important units of all groups.
        limits: Step and floor of each group.

    Raises:
        RecipeError: The cost is higher even when every group is at its floor.
    """
    if not groups:
        raise RecipeError(
            "compress: no channel of this model can be removed",
            fix="take layers out of `exclude`, or leave this step out",
        )
    ranks = {group.producers: group.units[np.argsort(-scores[group.units], kind="stable")] for group in groups}
    places = _places(ranks, scores)
    bounds = [limits[group.producers] for group in groups]

    def wanted(share: float) -> list[float]:
        if scope == "uniform":
            return [share * len(group.units) for group in groups]
        return [float(np.count_nonzero(places[group.units] < share * len(places))) for group in groups]

    def counts(share: float) -> list[int]:
        return [
            _rounded(want, len(group.units), bound)
            for want, group, bound in zip(wanted(share), groups, bounds, strict=True)
        ]

    def keep(numbers: Sequence[int]) -> Keep:
        mask = np.ones(len(scores), dtype=np.bool_)
        for group, number in zip(groups, numbers, strict=True):
            mask[ranks[group.producers][number:]] = False
        return mask

    if cost(keep(counts(1.0))) <= goal:
        return keep(counts(1.0))
    least = cost(keep(counts(0.0)))
    if least > goal:
        whole = cost(np.ones(len(scores), dtype=np.bool_))
        raise RecipeError(
            f"compress: `goal` cannot be reached: with every group at its floor {least / whole:.3f} of the cost is "
            f"left, and {goal / whole:.3f} was asked for",
            fix="raise the goal, lower `min_channels`, or take layers out of `exclude`",
        )
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(keep(counts(middle))) <= goal else (low, middle)
    numbers = _filled(counts(low), wanted(low), groups, bounds, lambda numbers: cost(keep(numbers)) <= goal)
    return keep(numbers)


def _places(ranks: Mapping[tuple[str, ...], Symbols], scores: Scores) -> Symbols:
    """The place of each removable unit among all of them, most important first; other units come last.

    Equal scores, as those of BatchNormalization that was never trained, take turns between the groups: first comes what
    is foremost in its group.
    """
    units = np.concatenate(list(ranks.values()))
    share = np.concatenate([np.arange(len(ranked)) / len(ranked) for ranked in ranks.values()])
    places = np.full(len(scores), len(scores), dtype=np.int64)
    places[units[np.lexsort((share, -scores[units]))]] = np.arange(len(units))
    return places


def _rounded(want: float, size: int, bound: Limits) -> int:
    """The nearest multiple of the step, not below the floor, not above the size."""
    nearest = int(np.floor(want / bound.step + 0.5)) * bound.step
    return max(min(nearest, size), min(bound.floor, size))


def _filled(
    numbers: list[int],
    wanted: Sequence[float],
    groups: Sequence[Group],
    bounds: Sequence[Limits],
    fits: Callable[[list[int]], bool],
) -> list[int]:
    """Give steps back while they fit, first to the groups that rounding took most from; at most one step each."""
    lost = [(number - want) / len(group.units) for number, want, group in zip(numbers, wanted, groups, strict=True)]
    for index in np.argsort(lost, kind="stable").tolist():
        size = len(groups[index].units)
        more = list(numbers)
        more[index] = min(size, numbers[index] + bounds[index].step)
        if more[index] > numbers[index] and fits(more):
            numbers = more
    return numbers


def search(
    measure: Callable[[float], float], goal: float, *, tolerance: float = 0.02, tries: int = 6
) -> tuple[float, float]:
    """Find the fraction of MACs at which a measured fraction meets its goal.

    Args:
        measure: Measured fraction (for example of latency) at a fraction of MACs; noisy, rising on the whole.
        goal: Wanted value of ``measure``, in (0, 1).
        tolerance: Stop when the value is that close to the goal.
        tries: Largest number of measurements.

    Returns:
        The fraction of MACs that came closest, and what was measured there.
    """
    points = [(1.0, 1.0)]
    fraction = goal
    for _ in range(tries):
        points.append((fraction, measure(fraction)))
        if abs(points[-1][1] - goal) <= tolerance:
            break
        fraction = _next_fraction(points, goal)
    return min(points[1:], key=lambda point: abs(point[1] - goal))


def _next_fraction(points: Sequence[tuple[float, float]], goal: float) -> float:
    """Where a straight line through the two nearest points meets the goal, kept away from both: they are noisy."""
    above = min(point for point in points if point[1] >= goal)
    below = [point for point in points if point[1] < goal]
    if below:
        low = max(below)
        inside = (goal - low[1]) / (above[1] - low[1])
        return low[0] + min(max(inside, 0.15), 0.85) * (above[0] - low[0])
    # Everything was too slow: go on downwards with the slope of the last two points.
    (left, fast), (right, slow) = sorted(points)[:2]
    slope = max((slow - fast) / (right - left), 0.1)
    return min(max(left - (fast - goal) / slope, 0.4 * left), 0.9 * left)
