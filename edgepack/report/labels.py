"""Where does each label of a scatter go so that nothing overlaps?"""

from dataclasses import dataclass

RINGS = 24
CROSSING = 6.0
"""A line through another label is as bad as a place six rings further out; an overlap is worse than any way."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """The area that both cover, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def outside(self, frame: "Box") -> float:
        """The area of this rectangle that lies outside of a frame, in square pixels."""
        area = (self.right - self.left) * (self.top - self.bottom)
        return area - self.overlap(frame)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside."""
        return self.left < x < self.right and self.bottom < y < self.top


@dataclass(frozen=True)
class Disc:
    """One point of the scatter as drawn, in pixels."""

    x: float
    y: float
    radius: float

    def box(self) -> Box:
        """The square around it."""
        return Box(self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius)


def place(
    discs: list[Disc], sizes: list[tuple[float, float]], frame: Box, *, taken: list[Box], gap: float
) -> list[Box]:
    """Place one label beside each disc.

    Greedy, the largest label first: of all places on rings around the disc, the one with the least overlap
    with discs, with labels already placed and with the outside of the frame; among equals the nearest.

    Args:
        discs: The points.
        sizes: Width and height of each label, in pixels.
        frame: Where labels may lie.
        taken: Other rectangles to keep clear of.
        gap: Distance between a disc and its label, in pixels.

    Returns:
        The rectangle of each label, in the order of the discs.
    """
    placed: dict[int, Box] = {}
    for index in sorted(range(len(discs)), key=lambda i: -sizes[i][0]):
        labels = list(placed.values())
        obstacles = [*taken, *(disc.box() for disc in discs), *labels]
        ranked = [
            (
                round(sum(box.overlap(other) for other in obstacles) + 2 * box.outside(frame), 1),
                cost + CROSSING * sum(_crosses(discs[index], box, label) for label in labels),
                number,
                box,
            )
            for number, (cost, box) in enumerate(_candidates(discs[index], sizes[index], gap))
        ]
        placed[index] = min(ranked)[3]
    return [placed[index] for index in range(len(discs))]


def _crosses(disc: Disc, box: Box, label: Box) -> bool:
    """Whether the line from a disc to its own label would run through another label."""
    x = min(max(disc.x, box.left), box.right)
    y = min(max(disc.y, box.bottom), box.top)
    return any(
        label.holds(disc.x + share * (x - disc.x), disc.y + share * (y - disc.y)) for share in (0.2, 0.4, 0.6, 0.8, 1.0)
    )


def _candidates(disc: Disc, size: tuple[float, float], gap: float) -> list[tuple[float, Box]]:
    """Places around a disc with their cost: right of it first, then above, below, left, then further out."""
    width, height = size
    found: list[tuple[float, Box]] = []
    for ring in range(RINGS):
        step = ring * height / 3
        beside = disc.radius + gap
        reach = beside + step
        spots = [
            (0.0, disc.x + reach, disc.y - height / 2),
            (0.1, disc.x - width / 2, disc.y + reach),
            (0.2, disc.x - width / 2, disc.y - reach - height),
            (0.3, disc.x - reach - width, disc.y - height / 2),
            (0.4, disc.x + 0.7 * reach, disc.y + 0.7 * reach),
            (0.4, disc.x + 0.7 * reach, disc.y - 0.7 * reach - height),
            (0.5, disc.x - 0.7 * reach - width, disc.y + 0.7 * reach),
            (0.5, disc.x - 0.7 * reach - width, disc.y - 0.7 * reach - height),
            (0.6, disc.x + beside, disc.y - height / 2 + step),
            (0.6, disc.x + beside, disc.y - height / 2 - step),
            (0.7, disc.x - beside - width, disc.y - height / 2 + step),
            (0.7, disc.x - beside - width, disc.y - height / 2 - step),
        ]
        found += [(ring + cost, Box(x, y, x + width, y + height)) for cost, x, y in spots]
    return found
