"""When do two tensors count as equal, and which layer is named when they do not?"""

import numpy as np
import pytest

from edgepack.keras_models.keras3.proof import Difference, _first, difference


def test_differences_are_relative_to_the_largest_value() -> None:
    found = difference(np.array([1.0, -49.0]), np.array([1.5, -50.0]))
    assert found == Difference(1.0, 0.02)


def test_zeros_differ_by_next_to_nothing_only() -> None:
    assert difference(np.zeros(3), np.zeros(3)) == Difference(0.0, 0.0)
    assert difference(np.full(3, 1e-3), np.zeros(3)).relative > 1


@pytest.mark.parametrize(
    ("found", "expected"), [([np.nan, 1], [1, 1]), ([1, 1], [np.inf, 1]), ([np.inf], [-np.inf]), ([1, 1, 1], [1, 1])]
)
def test_what_is_no_number_in_one_alone_is_infinitely_far(found: list[float], expected: list[float]) -> None:
    assert difference(np.array(found), np.array(expected)).relative == np.inf


def test_what_is_no_number_in_both_is_equal() -> None:
    values = np.array([np.nan, np.inf, 2.0])
    assert difference(np.array([np.nan, np.inf, 2.5]), values) == Difference(0.5, 0.25)
    assert difference(values[:1], values[:1]) == Difference(0.0, 0.0)


def test_the_first_layer_beyond_the_tolerance_is_named_or_else_the_worst() -> None:
    small, large, larger = Difference(1e-6, 1e-6), Difference(1.0, 0.1), Difference(9.0, 0.9)
    assert _first([("a", small), ("b", large), ("c", larger)])[0] == "b"
    assert _first([("a", small), ("b", Difference(5e-5, 5e-5))])[0] == "b"
