"""Do the labels of the picture keep clear of each other, of the points and of the frame?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.report.labels import Box, Disc, place

FRAME = Box(0, 0, 600, 400)


def overlaps(boxes: list[Box]) -> float:
    """The area that any two share."""
    return sum(a.overlap(b) for index, a in enumerate(boxes) for b in boxes[:index])


def test_overlap_and_outside_are_areas() -> None:
    assert Box(0, 0, 10, 10).overlap(Box(5, 5, 20, 20)) == 25
    assert Box(0, 0, 10, 10).overlap(Box(10, 0, 20, 10)) == 0
    assert Box(590, 390, 610, 410).outside(FRAME) == 300


def test_a_lone_label_goes_to_the_right() -> None:
    (box,) = place([Disc(100, 100, 5)], [(80, 20)], FRAME, taken=[], gap=3)
    assert box == Box(108, 90, 188, 110)


@pytest.mark.parametrize("at", [(0, 0), (600, 0), (0, 400), (600, 400), (300, 200)])
@pytest.mark.parametrize("number", [2, 4, 6])
def test_points_on_one_spot_get_separate_labels(at: tuple[float, float], number: int) -> None:
    discs = [Disc(*at, 8)] * number
    boxes = place(discs, [(100, 24)] * number, FRAME, taken=[], gap=3)
    assert overlaps(boxes) == 0
    assert sum(box.outside(FRAME) for box in boxes) == 0
    assert sum(box.overlap(disc.box()) for box in boxes for disc in discs) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(40, 560), st.floats(40, 360)), min_size=1, max_size=4))
def test_four_results_anywhere_are_labelled_without_overlap(spots: list[tuple[float, float]]) -> None:
    discs = [Disc(x, y, 12) for x, y in spots]
    line = Box(0, 199, 600, 201)
    boxes = place(discs, [(110, 24)] * len(discs), FRAME, taken=[line], gap=3)
    assert overlaps(boxes) == 0
    assert sum(box.overlap(line) + box.outside(FRAME) for box in boxes) == pytest.approx(0, abs=0.1)
    assert sum(box.overlap(disc.box()) for box in boxes for disc in discs) == pytest.approx(0, abs=0.1)
