"""What does a chart tell of the place that somebody points at, taps or tabs to?"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST = 24.0
"""Width and height of the smallest place that a finger meets, in units of the SVG."""


@dataclass(frozen=True)
class Spot:
    """A rectangle over a chart, in percent of its width and height, and what it tells.

    `stop` makes it a stop of the Tab key; the spots between the stops answer to a pointer and to a finger only.
    """

    id: str
    title: str
    facts: tuple[tuple[str, str], ...]
    left: float
    top: float
    width: float
    height: float
    stop: bool = True

    @property
    def label(self) -> str:
        """Everything in one line, for those who hear it."""
        return f"{self.title}: {', '.join(f'{name} {value}'.strip() for name, value in self.facts)}"

    @property
    def side(self) -> str:
        """To which side the text opens, so that it stays inside the page."""
        middle = self.left + self.width / 2
        return "from-left" if middle < 34 else "from-right" if middle > 66 else "centred"


@dataclass(frozen=True)
class Chart:
    """One picture with its spots; `wide` is for desktops, beside a narrow twin of the same figures for phones."""

    title: str
    svg: Any
    spots: tuple[Spot, ...]
    width: str = ""
    note: str = ""


def spot_at(
    figure: "Figure",
    axes: "Axes",
    identity: str,
    title: str,
    facts: tuple[tuple[str, str], ...],
    *,
    x: float,
    y: float,
    reach: float,
) -> Spot:
    """A spot around a place in data coordinates.

    Args:
        figure: Settled, see `svg.settle`.
        axes: Where the place is.
        identity: Unique in the page.
        title: Its name.
        facts: Names and values.
        x: Data coordinate.
        y: Data coordinate.
        reach: Half the spot's width and height in units of the SVG; at least what a finger needs.
    """
    across, up = axes.transData.transform((x, y))
    half = max(reach, SMALLEST / 2)
    return _spot(figure, identity, title, facts, (across - half, up - half, across + half, up + half), stop=True)


def spot_over(
    figure: "Figure",
    axes: "Axes",
    identity: str,
    title: str,
    facts: tuple[tuple[str, str], ...],
    *,
    box: tuple[float | None, float | None, float | None, float | None],
    stop: bool = True,
) -> Spot:
    """A spot over a box of data coordinates (left, bottom, right, top); None is the edge of the axes."""
    window = axes.get_window_extent()
    edges = (window.x0, window.y0, window.x1, window.y1)
    inside = [axes.get_xlim()[0], axes.get_ylim()[0]] * 2  # stand in for edges: a log axis has no place for 0
    data = [other if asked is None else asked for asked, other in zip(box, inside, strict=True)]
    places = (*axes.transData.transform((data[0], data[1])), *axes.transData.transform((data[2], data[3])))
    found = [float(edge if asked is None else place) for edge, asked, place in zip(edges, box, places, strict=True)]
    left, right = sorted((found[0], found[2]))
    bottom, top = sorted((found[1], found[3]))
    return _spot(figure, identity, title, facts, (left, bottom, right, top), stop=stop)


def _spot(
    figure: "Figure",
    identity: str,
    title: str,
    facts: tuple[tuple[str, str], ...],
    box: tuple[float, float, float, float],
    *,
    stop: bool,
) -> Spot:
    width, height = figure.bbox.width, figure.bbox.height
    left, right = (min(max(100 * place / width, 0), 100) for place in (box[0], box[2]))
    low, high = (min(max(100 * place / height, 0), 100) for place in (box[1], box[3]))
    return Spot(
        identity,
        title,
        facts,
        left=round(left, 2),
        top=round(100 - high, 2),
        width=round(right - left, 2),
        height=round(high - low, 2),
        stop=stop,
    )


def apart(spots: list[Spot]) -> list[Spot]:
    """The same spots, none over the middle of another: two that overlap meet halfway and keep their size outwards."""
    found = list(spots)
    for second in range(len(found)):
        for first in range(second):
            found[first], found[second] = _two_apart(found[first], found[second])
    return found


def _two_apart(one: Spot, other: Spot) -> tuple[Spot, Spot]:
    across = abs(_middle(one)[0] - _middle(other)[0]) < (one.width + other.width) / 2
    down = abs(_middle(one)[1] - _middle(other)[1]) < (one.height + other.height) / 2
    if not (across and down):
        return one, other
    (x, y), (other_x, other_y) = _middle(one), _middle(other)
    if abs(y - other_y) > abs(x - other_x):
        border = (y + other_y) / 2
        above, below = (one, other) if y < other_y else (other, one)
        above, below = replace(above, top=round(border - above.height, 2)), replace(below, top=round(border, 2))
        return (above, below) if y < other_y else (below, above)
    border = (x + other_x) / 2
    left, right = (one, other) if x <= other_x else (other, one)
    left, right = replace(left, left=round(border - left.width, 2)), replace(right, left=round(border, 2))
    return (left, right) if x <= other_x else (right, left)


def _middle(spot: Spot) -> tuple[float, float]:
    return spot.left + spot.width / 2, spot.top + spot.height / 2
