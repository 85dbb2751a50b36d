"""Is the learning rate at each step what the papers' formulas say?"""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgepack import extensions
from edgepack.contracts import Span
from edgepack.schedules import constant, cosine, exp_range, one_cycle, step, triangular, triangular2
from edgepack.training import course
from edgepack.training.config import Training

NAMES = extensions.names("edgepack.schedules")
PEAKS = st.floats(1e-6, 10)
STEPS = st.integers(1, 20_000)


def span(steps: int) -> Span:
    """One epoch of so many steps."""
    return Span(1, steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_names_a_schedule_or_spells_it_out(name: str) -> None:
    short, long = Training.model_validate({"schedule": name}), Training.model_validate({"schedule": {"use": name}})
    assert short == long
    assert extensions.name_of(short.schedule) == name


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValidationError, match="one_cicle"):
        Training.model_validate({"schedule": "one_cicle"})


def test_the_schema_knows_the_short_form() -> None:
    choices = Training.model_json_schema()["properties"]["schedule"]["anyOf"]
    assert {"enum": list(NAMES), "type": "string"} in choices


@given(PEAKS, STEPS, st.integers(0, 50_000))
def test_a_constant_rate_stays(peak: float, steps: int, at: int) -> None:
    assert constant.rate(constant.Config(), peak, span(steps))(at) == peak


@given(PEAKS, STEPS, st.floats(0, 1))
def test_cosine_is_equation_5_of_sgdr(peak: float, steps: int, share: float) -> None:
    """1608.03983, eq. 5: eta_min + (eta_max - eta_min) / 2 * (1 + cos(pi * T_cur / T_i)), eta_min = 0."""
    at = int(share * steps)
    found = cosine.rate(cosine.Config(), peak, span(steps))
    assert found(at) == pytest.approx(peak / 2 * (1 + math.cos(math.pi * at / steps)), abs=1e-12)
    assert found(0) == peak
    assert found(steps) == pytest.approx(0, abs=1e-12)
    assert found(steps + 1000) == found(steps)  # a step too many never turns the rate up again


def test_the_default_steps_are_those_of_1706_02677() -> None:
    """Section 5.1: the rate is divided by 10 at the 30-th, 60-th and 80-th of 90 epochs."""
    found = step.rate(step.Config(), 0.4, Span(90, 10))
    assert [found(10 * epoch) for epoch in (0, 29, 30, 59, 60, 79, 80, 89)] == pytest.approx(
        [0.4, 0.4, 0.04, 0.04, 0.004, 0.004, 0.0004, 0.0004]
    )


def test_milestones_must_rise() -> None:
    with pytest.raises(ValidationError, match="must rise"):
        step.Config(milestones=(0.5, 0.5))


def test_one_cycle_at_hand_computed_steps() -> None:
    """Up from peak / 25 in the first 30 %, down to peak / 10^4; half-way up and down are the means of the ends."""
    found = one_cycle.rate(one_cycle.Config(), 1.0, span(100))
    assert [found(at) for at in (0, 15, 30, 65, 100, 1000)] == pytest.approx(
        [0.04, (0.04 + 1) / 2, 1, (1 + 1e-4) / 2, 1e-4, 1e-4]
    )
    found = one_cycle.rate(one_cycle.Config(rise=0.5, start=4, end=8), 2.0, span(10))
    assert [found(at) for at in (0, 5, 10)] == pytest.approx([0.5, 2, 0.25])


@given(PEAKS, st.integers(4, 2000))
def test_one_cycle_rises_once_and_falls_once(peak: float, steps: int) -> None:
    found = one_cycle.rate(one_cycle.Config(), peak, span(steps))
    values = [found(at) for at in range(steps)]
    top = values.index(max(values))
    assert values[0] == pytest.approx(peak / 25)
    assert abs(top - 0.3 * steps) <= 1
    assert all(a <= b for a, b in itertools.pairwise(values[: top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(values[top:]))


@given(st.integers(10, 2000))
def test_the_momentum_of_one_cycle_goes_the_other_way(steps: int) -> None:
    """1803.09820, section 4.3: from 0.95 down to 0.85 while the rate rises, and back while it falls."""
    config = one_cycle.Config(momentum=(0.95, 0.85))
    rate, momentum = one_cycle.rate(config, 1.0, span(steps)), one_cycle.momentum(config, span(steps))
    assert momentum is not None
    assert (momentum(0), momentum(steps)) == (pytest.approx(0.95), pytest.approx(0.95))
    for at in range(steps - 1):
        assert (rate(at + 1) - rate(at)) * (momentum(at + 1) - momentum(at)) <= 0


def test_a_schedule_leaves_the_momentum_alone_unless_told() -> None:
    for name in NAMES:
        assert course.momentum(extensions.load("edgepack.schedules", name).Config(), span(9)) is None
    assert course.momentum(one_cycle.Config(momentum=(0.95, 0.85)), span(9)) is not None


def cyclical(policy: str, iteration: int, stepsize: float, base: float, top: float, gamma: float) -> float:
    """The code of 1506.01186, section 3.1, and its policies, in its own terms."""
    cycle = math.floor(1 + iteration / (2 * stepsize))
    x = abs(iteration / stepsize - 2 * cycle + 1)
    rate = (top - base) * max(0.0, 1 - x)
    return base + rate * {"triangular": 1.0, "triangular2": 1 / 2 ** (cycle - 1), "exp_range": gamma**iteration}[policy]


@pytest.mark.parametrize("module", [triangular, triangular2, exp_range])
@given(steps=st.integers(1, 500), half=st.floats(0.5, 8), at=st.integers(0, 20_000))
def test_cyclical_rates_are_those_of_the_paper(module: Any, steps: int, half: float, at: int) -> None:
    config = module.Config(half_cycle_epochs=half, base=0.2)
    expected = cyclical(extensions.name_of(config), at, half * steps, 0.2 * 3.0, 3.0, 0.99994)
    assert module.rate(config, 3.0, Span(7, steps))(at) == pytest.approx(expected)


def test_a_triangle_at_hand_computed_steps() -> None:
    found = triangular.rate(triangular.Config(base=0.5, half_cycle_epochs=1), 2.0, Span(4, 10))
    assert [found(at) for at in (0, 5, 10, 15, 20, 30)] == pytest.approx([1, 1.5, 2, 1.5, 1, 2])
    found = triangular2.rate(triangular2.Config(base=0.5, half_cycle_epochs=1), 2.0, Span(4, 10))
    assert [found(at) for at in (10, 20, 30)] == pytest.approx([2, 1, 1.5])


@pytest.mark.parametrize("name", NAMES)
@given(peak=PEAKS, steps=STEPS, at=st.integers(0, 50_000))
def test_every_rate_lies_between_zero_and_the_peak(name: str, peak: float, steps: int, at: int) -> None:
    module = extensions.load("edgepack.schedules", name)
    rate = module.rate(module.Config(), peak, span(steps))(at)
    assert 0 <= rate <= peak * (1 + 1e-12)
    assert math.isfinite(rate)


def test_a_large_batch_warms_up_from_the_rate_of_a_small_one() -> None:
    """1706.02677, 2.2: over 5 epochs from eta to k * eta, by the same amount in each step, then as ever."""
    rate = course.rate(constant.Config(), 0.1, Span(10, 100), warmup_epochs=5, scaling=32)
    assert [rate(at) for at in (0, 250, 500, 999)] == pytest.approx([0.1, (0.1 + 3.2) / 2, 3.2, 3.2])


def test_without_scaling_it_warms_up_from_zero() -> None:
    rate = course.rate(constant.Config(), 0.1, Span(10, 10), warmup_epochs=1)
    assert [rate(at) for at in (0, 5, 10)] == pytest.approx([0, 0.05, 0.1])


def test_the_rate_grows_with_the_batch() -> None:
    assert Training(batch_size=1024, reference_batch_size=256).scaling == 4
    assert Training(batch_size=1024).scaling == 1
    rate = course.rate(cosine.Config(), 0.1, span(10), scaling=4)
    assert [rate(at) for at in (0, 10)] == pytest.approx([0.4, 0])
