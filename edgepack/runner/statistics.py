"""What do samples of latency say, and how surely?

Consecutive samples resemble each other: a neighbour on the machine slows down many in a row. A bootstrap that draws
single samples takes them for independent and gives intervals that are far too narrow, so blocks of consecutive samples
are drawn (Künsch 1989, "The jackknife and the bootstrap for general stationary observations"). What differs from one
process to the next (where memory lies, mostly) is in no single process, however long it runs: figures that are to be
compared come from several fresh processes, and the interval from how those differ (Kalibera and Jones 2013, "Rigorous
benchmarking in reasonable time").
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .noise import uniform

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
LEVEL = 0.95
RESAMPLES = 1000
MOST_BLOCKS = 50
"""More blocks than this would be shorter than a disturbance: 1/50 of ten seconds is 0.2 s."""
BEYOND = 5
"""A quantile beyond which fewer samples lie than this has no interval: nothing bounds it."""

_GRID, _FINE = 256, 512


def summarise(samples_ns: Sequence[int] | NDArray[np.int64]) -> dict[str, float]:
    """Statistics of samples in nanoseconds, as milliseconds; percentiles by linear interpolation.

    Args:
        samples_ns: One or more samples.

    Returns:
        ``p50``, ``p90``, ``p99``, ``mean``, ``min``, ``max`` and ``stdev`` (of the sample; 0 for a single
        one).
    """
    values_ms = np.asarray(samples_ns, dtype=np.float64) / 1e6
    percentiles = np.percentile(values_ms, [100 * p for p in QUANTILES.values()])
    return {
        **{name: float(value) for name, value in zip(QUANTILES, percentiles, strict=True)},
        "mean": float(values_ms.mean()),
        "min": float(values_ms.min()),
        "max": float(values_ms.max()),
        "stdev": float(values_ms.std(ddof=1)) if len(values_ms) > 1 else 0.0,
    }


def intervals_ms(processes_ns: Sequence[ArrayLike], *, seed: int = 0) -> dict[str, list[float] | None]:
    """Confidence intervals (95 %) of p50, p90 and p99, in milliseconds.

    Args:
        processes_ns: The samples of each process, in the order in which they were taken.
        seed: Of what is drawn: the same samples give the same intervals.

    Returns:
        Lower and upper end for each; None where fewer than five samples lie beyond the quantile.
    """
    found: dict[str, list[float] | None] = {}
    for name, p in QUANTILES.items():
        interval = quantile_interval(processes_ns, p, seed=seed)
        found[name] = None if interval is None else [interval[0] / 1e6, interval[1] / 1e6]
    return found


def quantile_interval(processes: Sequence[ArrayLike], p: float, *, seed: int = 0) -> tuple[float, float] | None:
    """The bootstrap's confidence interval of a quantile: processes are drawn, and blocks of samples within each.

    What is drawn is how often each block counts, and how many samples of each block lie below each of some hundred
    values is counted once, so that no resample is ever sorted.

    Args:
        processes: The samples of each process, in their order.
        p: Which quantile, in (0, 1).
        seed: Of what is drawn.

    Returns:
        Lower and upper end, or None where fewer than five samples lie beyond the quantile.
    """
    series = [np.asarray(samples) for samples in processes]
    shortest, total = min(map(len, series)), sum(map(len, series))
    if min(p, 1 - p) * total < BEYOND:
        return None
    # The length of blocks that suits grows with the third root of the number of samples: Hall, Horowitz and Jing 1995.
    blocks = max(1, min(MOST_BLOCKS, round(shortest ** (2 / 3))))
    values = _candidates(np.sort(np.concatenate(series)), p)
    below = np.concatenate([_counts_below(samples, values, blocks) for samples in series])
    sizes = np.concatenate([_block_sizes(len(samples), blocks) for samples in series])
    weights = _weights(len(series), blocks, seed)
    reached = weights @ below >= p * (weights @ sizes)[:, None] - 1e-9
    drawn = values[np.argmax(reached, axis=1)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_interval(values: ArrayLike, *, level: float, trim: float = 0.0) -> tuple[float, float, float]:
    """The mean of independent values and its confidence interval by Student's t, if asked for without the outermost.

    Values of which a few are far off make the plain interval useless. The trimmed mean leaves some out on either side,
    and its interval allows for that: Tukey and McLaughlin 1963, "Less vulnerable confidence and significance procedures
    for location based on a single sample".

    Args:
        values: Two or more.
        level: Of confidence, in (0, 1).
        trim: Share of the values to leave out on each side, below 0.5.

    Returns:
        Mean, lower end, upper end.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut, total = int(trim * len(ordered)), len(ordered)
    kept = ordered[cut : total - cut]
    mean, half = float(kept.mean()), 0.0
    drawn_in = np.clip(ordered, kept[0], kept[-1])
    spread = float(drawn_in.std(ddof=1))
    if spread > 0:
        error = spread * math.sqrt((total - 1) / (len(kept) * (len(kept) - 1)))
        half = student_quantile((1 + level) / 2, len(kept) - 1) * error
    return mean, mean - half, mean + half


def difference_interval(before: ArrayLike, after: ArrayLike, *, level: float) -> tuple[float, float, float]:
    """The difference of two means and its confidence interval by Welch's t: the two may spread differently.

    Args:
        before: Two or more independent values.
        after: As many or others.
        level: Of confidence, in (0, 1).

    Returns:
        ``after`` minus ``before``, lower end, upper end.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    difference = float(new.mean() - old.mean())
    parts = [float(array.var(ddof=1)) / len(array) for array in (old, new)]
    if sum(parts) == 0:
        return difference, difference, difference
    # Welch 1947, "The generalization of Student's problem when several different population variances are involved".
    freedom = sum(parts) ** 2 / sum(part**2 / (len(a) - 1) for part, a in zip(parts, (old, new), strict=True))
    half = student_quantile((1 + level) / 2, freedom) * math.sqrt(sum(parts))
    return difference, difference - half, difference + half


def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t.

    With t = sqrt(freedom) tan(angle) the density becomes a power of a cosine, which is summed on a grid.

    Args:
        probability: In [0.5, 1).
        freedom: Degrees of freedom, 1 or more, not necessarily whole.
    """
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angles) ** (freedom - 1)
    half = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = np.interp(2 * probability - 1, half / half[-1], angles)
    return math.sqrt(freedom) * math.tan(float(angle))


def _candidates(ordered: NDArray[np.generic], p: float) -> NDArray[np.generic]:
    """The values among which a quantile is looked for: some of all, and many near the quantile."""
    n = len(ordered)
    reach = 10 * math.sqrt(p * (1 - p) * n)
    ranks = np.concatenate(
        [
            np.linspace(0, n - 1, min(n, _GRID)),
            np.linspace(max(0, p * n - reach), min(n - 1, p * n + reach), min(n, _FINE)),
        ]
    )
    return np.unique(ordered[np.round(ranks).astype(np.int64)])


def _counts_below(samples: NDArray[np.generic], values: NDArray[np.generic], blocks: int) -> NDArray[np.float64]:
    """How many samples of each block are at most each value, shape (blocks, values)."""
    places = np.searchsorted(values, samples)  # the first value that is not below the sample
    block = np.repeat(np.arange(blocks), _block_sizes(len(samples), blocks))
    counts = np.bincount(block * len(values) + places, minlength=blocks * len(values))
    return np.cumsum(counts.reshape(blocks, len(values)), axis=1).astype(np.float64)


def _block_sizes(samples: int, blocks: int) -> NDArray[np.int64]:
    edges = np.arange(blocks + 1) * samples // blocks
    return np.diff(edges)


def _weights(processes: int, blocks: int, seed: int) -> NDArray[np.float64]:
    """How often each resample holds each block, shape (resamples, processes x blocks)."""
    total = processes * blocks
    chosen = uniform(RESAMPLES * (processes + total), seed)
    which = np.floor(chosen[: RESAMPLES * processes] * processes).reshape(RESAMPLES, processes, 1)
    part = np.floor(chosen[RESAMPLES * processes :] * blocks).reshape(RESAMPLES, processes, blocks)
    index = (which * blocks + part).astype(np.int64).reshape(RESAMPLES, total)
    rows = np.arange(RESAMPLES)[:, None] * total
    return np.bincount((rows + index).ravel(), minlength=RESAMPLES * total).reshape(RESAMPLES, total).astype(np.float64)
