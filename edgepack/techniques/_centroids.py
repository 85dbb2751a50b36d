"""Which few values stand for the weights of a kernel, before training moves them?

k-means in one dimension: Lloyd, "Least squares quantization in PCM", 1982. Its starts are those of Han et al., "Deep
Compression", 1510.00149, section 3.2, and of Arthur & Vassilvitskii, "k-means++", 2007.
"""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = NDArray[np.float32]
    Sorted = NDArray[np.float64]

Initialization = Literal["kmeans++", "linear", "density", "random"]
ITERATIONS = 100


def table(rows: "Weights", count: int, start: Initialization, seed: int, *, skip_zeros: bool = False) -> "Weights":
    """Centroids for each row of weights.

    Args:
        rows: float32 weights of shape (rows, weights): one row for a whole kernel, or one for each output channel.
        count: Centroids of a row.
        start: Where the iterations start.
        seed: Seed of the starts that are drawn.
        skip_zeros: Weights that are exactly zero have no part in it.

    Returns:
        float32 of shape (rows, count), sorted; a row with fewer distinct weights repeats its last one.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    result = np.zeros((len(rows), count), np.float32)
    for index, row in enumerate(rows):
        weights = row[row != 0] if skip_zeros else row
        if weights.size:
            found = centroids(weights, count, start, draw)
            result[index] = np.pad(found, (0, count - len(found)), mode="edge")
    return result


def centroids(weights: "Weights", count: int, start: Initialization, draw: "np.random.Generator") -> "Weights":
    """At most ``count`` sorted centroids of weights of shape (n,), moved by Lloyd's iterations until they stand."""
    import numpy as np

    distinct = np.unique(weights)
    if len(distinct) <= count:
        return distinct
    ordered = np.sort(weights).astype(np.float64)
    totals = np.concatenate([[0.0], np.cumsum(ordered)])
    values = np.unique(_starts(ordered, count, start, draw))
    for _ in range(ITERATIONS):
        inner = np.searchsorted(ordered, (values[1:] + values[:-1]) / 2)
        edges = np.concatenate([[0], inner, [len(ordered)]])
        sizes = np.diff(edges)
        moved = np.where(sizes > 0, np.diff(totals[edges]) / np.maximum(sizes, 1), values)
        if np.array_equal(moved, values):
            break
        values = np.sort(moved)
    return np.unique(values.astype(np.float32))


def _starts(ordered: "Sorted", count: int, start: Initialization, draw: "np.random.Generator") -> Any:
    import numpy as np

    if start == "linear":
        return np.linspace(ordered[0], ordered[-1], count)
    if start == "density":
        return np.quantile(ordered, (np.arange(count) + 0.5) / count)
    if start == "random":
        return draw.uniform(ordered[0], ordered[-1], count)
    chosen = [float(draw.choice(ordered))]
    distance = (ordered - chosen[0]) ** 2
    for _ in range(count - 1):
        chosen.append(float(draw.choice(ordered, p=distance / distance.sum())))
        distance = np.minimum(distance, (ordered - chosen[-1]) ** 2)
    return np.array(chosen)
