"""Does the range test read its curve rightly?"""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.training.range_test import growing, smoothed, suggest


@given(st.floats(1e-8, 1e-3), st.floats(1e-2, 10), st.integers(2, 500))
def test_rates_grow_by_one_factor_from_the_first_to_the_last(low: float, high: float, steps: int) -> None:
    rate = growing(low, high, steps)
    values = [rate(step) for step in range(steps)]
    assert (values[0], values[-1]) == (pytest.approx(low), pytest.approx(high))
    factors = [later / earlier for earlier, later in itertools.pairwise(values)]
    assert factors == pytest.approx([(high / low) ** (1 / (steps - 1))] * (steps - 1))


@given(st.floats(0.1, 100), st.integers(1, 50))
def test_a_constant_loss_stays_as_it_is(loss: float, steps: int) -> None:
    assert smoothed([loss] * steps) == pytest.approx([loss] * steps)


def test_smoothing_at_hand_computed_steps() -> None:
    assert smoothed([1.0, 0.0], keep=0.5) == pytest.approx([1.0, 0.25 / 0.75])


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    """A logistic fall around 1e-3, then a rise from 1e-1 on."""
    rate = growing(1e-6, 1.0, 601)
    rates = [rate(step) for step in range(601)]
    losses = [2.3 - 2 / (1 + math.exp(-4 * (math.log10(r) + 3))) + max(0.0, math.log10(r) + 1) for r in rates]
    found = suggest(rates, losses)
    assert found is not None
    assert found.rate == pytest.approx(1e-3, rel=0.05)
    assert found.bound == pytest.approx(1e-1, rel=0.3)


@pytest.mark.parametrize(
    "losses", [[2.3] * 50, [2.3 + 0.01 * step for step in range(50)], [2.3 - 0.001 * s for s in range(50)]]
)
def test_nothing_is_suggested_where_nothing_is_learnt(losses: list[float]) -> None:
    assert suggest([10.0**-6 * 1.2**step for step in range(50)], losses) is None
