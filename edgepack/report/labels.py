"""Where does each label of a scatter go so that nothing overlaps?"""

from dataclasses import dataclass


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
        obstacles = [*taken, *(disc.box() for disc in discs), *placed.values()]
        candidates = _candidates(discs[index], sizes[index], gap)
        placed[index] = min(
            candidates,
            key=lambda item: (
                round(sum(item[1].overlap(box) for box in obstacles) + 2 * item[1].outside(frame), 1),
                item[0],
            ),
        )[1]
    return [placed[index] for index in range(len(discs))]


def _candidates(disc: Disc, size: tuple[float, float], gap: float) -> list[tuple[float, Box]]:
    """Places around a disc with their cost: right of it first, then above, below, left, then further out."""
    width, height = size
    found: list[tuple[float, Box]] = []
    for ring in range(12):
        reach = disc.radius + gap + ring * height / 3
        spots = [
            (0.0, disc.x + reach, disc.y - height / 2),
            (0.1, disc.x - width / 2, disc.y + reach),
            (0.2, disc.x - width / 2, disc.y - reach - height),
            (0.3, disc.x - reach - width, disc.y - height / 2),
            (0.4, disc.x + 0.7 * reach, disc.y + 0.7 * reach),
            (0.4, disc.x + 0.7 * reach, disc.y - 0.7 * reach - height),
            (0.5, disc.x - 0.7 * reach - width, disc.y + 0.7 * reach),
            (0.5, disc.x - 0.7 * reach - width, disc.y - 0.7 * reach - height),
        ]
        found += [(ring + cost, Box(x, y, x + width, y + height)) for cost, x, y in spots]
    return found
