"""Is the learning rate at each step what the papers' formulas say?"""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.training.config import Training
from edgepack.training.schedules import SCHEDULES, constant, cosine, one_cycle

PEAKS = st.floats(1e-6, 10)
STEPS = st.integers(1, 20_000)


def rates(name: str, peak: float, steps: int) -> list[float]:
    schedule = SCHEDULES[name](peak, steps)
    return [schedule(step) for step in range(steps)]


def test_a_recipe_can_name_each_schedule_and_no_other() -> None:
    choices = Training.model_json_schema()["properties"]["schedule"]["enum"]
    assert set(choices) == set(SCHEDULES)


@given(PEAKS, STEPS, st.integers(0, 50_000))
def test_a_constant_rate_stays(peak: float, steps: int, step: int) -> None:
    assert constant(peak, steps)(step) == peak


@given(PEAKS, STEPS, st.floats(0, 1))
def test_cosine_is_equation_5_of_sgdr(peak: float, steps: int, share: float) -> None:
    """1608.03983, eq. 5: eta_min + (eta_max - eta_min) / 2 * (1 + cos(pi * T_cur / T_i)), eta_min = 0."""
    step = int(share * steps)
    assert cosine(peak, steps)(step) == pytest.approx(peak / 2 * (1 + math.cos(math.pi * step / steps)), abs=1e-12)


@given(PEAKS, STEPS)
def test_cosine_starts_at_the_peak_and_ends_at_zero(peak: float, steps: int) -> None:
    schedule = cosine(peak, steps)
    assert schedule(0) == peak
    assert schedule(steps) == pytest.approx(0, abs=1e-12)
    assert schedule(steps + 1000) == schedule(steps)  # a step too many never turns the rate up again


def test_cosine_at_the_middle_is_half() -> None:
    assert [cosine(0.1, 100)(step) for step in (0, 25, 50, 75, 100)] == pytest.approx(
        [0.1, 0.1 * (2 + math.sqrt(2)) / 4, 0.05, 0.1 * (2 - math.sqrt(2)) / 4, 0]
    )


def test_one_cycle_at_hand_computed_steps() -> None:
    """Up from peak / 25 in the first 30 %, down to peak / 10^4; half-way up and down are the means of the ends."""
    schedule = one_cycle(1.0, 100)
    assert schedule(0) == pytest.approx(0.04)
    assert schedule(15) == pytest.approx((0.04 + 1) / 2)
    assert schedule(30) == pytest.approx(1)
    assert schedule(65) == pytest.approx((1 + 1e-4) / 2)
    assert schedule(100) == pytest.approx(1e-4)
    assert schedule(1000) == pytest.approx(1e-4)


def test_one_cycle_as_its_arguments_say() -> None:
    schedule = one_cycle(2.0, 10, rise=0.5, start=4, end=8)
    assert [schedule(step) for step in (0, 5, 10)] == pytest.approx([0.5, 2, 0.25])


@given(PEAKS, st.integers(4, 2000))
def test_one_cycle_rises_once_and_falls_once(peak: float, steps: int) -> None:
    values = rates("one_cycle", peak, steps)
    top = values.index(max(values))
    assert values[0] == pytest.approx(peak / 25)
    assert abs(top - 0.3 * steps) <= 1
    assert all(a <= b for a, b in itertools.pairwise(values[: top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(values[top:]))


@pytest.mark.parametrize("name", SCHEDULES)
@given(peak=PEAKS, steps=STEPS, step=st.integers(0, 50_000))
def test_every_rate_lies_between_zero_and_the_peak(name: str, peak: float, steps: int, step: int) -> None:
    rate = SCHEDULES[name](peak, steps)(step)
    assert 0 <= rate <= peak * (1 + 1e-12)
    assert math.isfinite(rate)
