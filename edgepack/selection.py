"""Which columns of a table does the model get, within what they may cost?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgepack import extensions
from edgepack.columns import Matrix, Ranking, SelectionConfig
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean


@dataclass(frozen=True)
class Selection:
    """The columns that were chosen.

    Attributes:
        places: Their places in the table, ascending.
        costs: What each column of the table costs, by name.
        record: What happened, JSON-ready: ``use``, ``budget``, ``cost``, ``curve``, and ``columns``, for each of the
            table ``name``, ``rank`` (1 is best; null: above the budget by itself), ``score``, ``cost``, ``chosen``.
    """

    places: tuple[int, ...]
    costs: Mapping[str, float]
    record: Mapping[str, Any]


def select(config: SelectionConfig, names: Sequence[str], matrix: Matrix, *, seed: int) -> Selection:
    """Rank the columns with the method that a recipe names, then take the best of them that the budget allows.

    Columns that alone are above the budget do not take part: others that say the same then stand in for them.

    Args:
        config: The recipe's ``data.select_features``.
        names: Names of the table's columns.
        matrix: Training samples only.
        seed: The recipe's seed.

    Raises:
        RecipeError: A cost for a column that is not there, a budget that no column fits, neither a number of columns
            nor a budget, or more columns wanted than there are.
    """
    use = extensions.name_of(config)
    prices = prices_of(config, names)
    affordable = [place for place, price in enumerate(prices) if config.budget is None or price <= config.budget]
    if not affordable:
        cheapest = min(range(len(prices)), key=prices.__getitem__)
        raise RecipeError(
            f"data.select_features: no column fits the budget of {config.budget:g}: the cheapest, "
            f"{names[cheapest]!r}, costs {prices[cheapest]:g}",
            fix="raise the budget, or correct the costs",
        )
    _check_count(config, len(names), use)
    ranking = Ranking((0,), keep=1)  # of one column; scikit-learn eliminates among two or more
    if len(affordable) > 1:
        categories = tuple(matrix.categories[place] for place in affordable)
        part = Matrix(matrix.x[:, affordable], matrix.y, categories, matrix.labels)
        ranking = extensions.load("edgepack.features", use).rank(config, part, seed=seed)
    order = [affordable[place] for place in ranking.order]
    chosen = within(order, prices, keep=ranking.keep, budget=config.budget)
    scores = dict(zip(affordable, ranking.scores, strict=True)) if ranking.scores else {}
    record = {
        "use": use,
        "budget": config.budget,
        "cost": math.fsum(prices[place] for place in chosen),
        "curve": [list(point) for point in ranking.curve],
        "columns": [
            {
                "name": name,
                "rank": order.index(place) + 1 if place in order else None,
                "score": scores.get(place),
                "cost": prices[place],
                "chosen": place in chosen,
            }
            for place, name in enumerate(names)
        ],
    }
    return Selection(tuple(sorted(chosen)), dict(zip(names, prices, strict=True)), record)


def within(order: Sequence[int], prices: Sequence[float], *, keep: int | None, budget: float | None) -> list[int]:
    """Go through a ranking and take each column that still fits, until there are enough.

    Args:
        order: Places of columns, the best one first.
        prices: Cost of each column, by place.
        keep: How many to take at most; None = no limit.
        budget: What they may cost together; None = anything.
    """
    chosen: list[int] = []
    for place in order:
        if keep is not None and len(chosen) == keep:
            break
        if budget is None or math.fsum(prices[other] for other in (*chosen, place)) <= budget:
            chosen.append(place)
    return chosen


def prices_of(config: SelectionConfig, names: Sequence[str]) -> list[float]:
    """The cost of each column.

    Raises:
        RecipeError: A cost is for a column that the table has not.
    """
    for name in config.costs:
        if name not in names:
            raise RecipeError(
                f"data.select_features.costs: the table has no column {name!r}; its columns are: {', '.join(names)}",
                fix=did_you_mean(name, names) or "name one of them",
            )
    return [config.costs.get(name, config.default_cost) for name in names]


def _check_count(config: SelectionConfig, count: int, use: str) -> None:
    wanted = getattr(config, "features", None)
    if "features" in type(config).model_fields and wanted is None and config.budget is None:
        raise RecipeError(
            f"data.select_features: `use: {use}` was told neither how many columns to keep nor what they may cost",
            fix="add `features: 8`, or a budget; `use: rfecv` finds the number by itself",
        )
    if wanted is not None and wanted > count:
        raise RecipeError(
            f"data.select_features.features: {wanted} columns are wanted, but the table has {count}",
            fix=f"a number from 1 to {count}",
        )
