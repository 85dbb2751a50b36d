"""Are the differences between two sets of outputs those that one computes by hand?"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepack.verify import parity

A = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], np.float32)
B = np.array([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875]], np.float32)


def test_a_comparison_by_hand() -> None:
    """argmax of A: 0, 0, 1 (the first of equals); of B: 0, 1, 1. Noise: 4 values of 0.25."""
    found = parity.compare(A, B)
    assert (found.samples, found.max_abs) == (3, 0.25)
    assert found.top1_agreement == pytest.approx(2 / 3)
    signal, noise = 0.5625 + 0.0625 + 0.25 + 0.25 + 0.015625 + 0.765625, 4 * 0.0625
    assert found.sqnr_db == pytest.approx(10 * math.log10(signal / noise))


def test_equal_outputs_have_no_noise_to_speak_of() -> None:
    assert parity.compare(A, A.copy()) == parity.Difference(3, 1.0, 0.0, None)
    assert parity.compare(np.zeros_like(A), A).sqnr_db is None


@pytest.mark.parametrize(("largest", "limit"), [(1, 1e-3), (100, 0.1), (-100, 0.1), (0.01, 1e-3)])
def test_float_files_may_differ_by_a_thousandth_of_the_largest_output(largest: float, limit: float) -> None:
    reference = np.array([[largest, 0], [0, largest / 2]], np.float32)
    assert parity.float_limit(reference) == pytest.approx(limit)
    assert parity.float_limit(np.zeros((0, 2), np.float32)) == pytest.approx(1e-3)


OUTPUTS = hnp.arrays(np.float32, (5, 3), elements=st.floats(-10, 10, width=32))


@given(OUTPUTS, OUTPUTS)
def test_comparison_is_symmetric_where_it_should_be(a: np.ndarray, b: np.ndarray) -> None:
    first, second = parity.compare(a, b), parity.compare(b, a)
    assert (first.max_abs, first.top1_agreement) == (second.max_abs, second.top1_agreement)
    assert 0 <= first.top1_agreement <= 1
    assert first.max_abs == np.abs(a - b).max()
    assert (first.max_abs == 0) == np.array_equal(a, b)
