"""Do centroids stand where k-means leaves them, from every start?"""

import numpy as np
import pytest

from edgepack.techniques._centroids import centroids, table

STARTS = ["density", "kmeans++", "linear", "random"]


def bell(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=count).astype(np.float32)


@pytest.mark.parametrize("start", STARTS)
def test_no_iteration_moves_the_centroids_any_more(start: str) -> None:
    weights = bell(2000)
    found = centroids(weights, 6, start, np.random.default_rng(1))  # type: ignore[arg-type]
    assert 4 <= len(found) <= 6
    assert (np.diff(found) > 0).all()
    nearest = np.abs(weights[:, None] - found).argmin(-1)
    means = [weights[nearest == index].astype(np.float64).mean() for index in range(len(found))]
    np.testing.assert_allclose(means, found, atol=2e-3)


def test_few_distinct_weights_are_their_own_centroids() -> None:
    weights = np.array([3, 1, 1, 2, 3], np.float32)
    np.testing.assert_array_equal(centroids(weights, 4, "density", np.random.default_rng(0)), [1, 2, 3])


@pytest.mark.parametrize("start", STARTS)
def test_separate_lumps_are_found(start: str) -> None:
    lumps = np.concatenate([bell(50) * 0.01 + middle for middle in (-4, 0, 4)])
    found = centroids(lumps, 3, start, np.random.default_rng(3))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [-4, 0, 4], atol=0.02)


def test_zeros_have_no_part_and_short_rows_repeat_their_last_centroid() -> None:
    rows = np.array([[0, 0, 5, -5, 0, 0], [0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 0, 0]], np.float32)
    found = table(rows, 3, "density", 0, skip_zeros=True)
    np.testing.assert_array_equal(found[0], [-5, 5, 5])
    np.testing.assert_array_equal(found[1], [0, 0, 0])
    assert 0 not in found[2]
    assert found.dtype == np.float32


def test_the_same_seed_draws_the_same_centroids() -> None:
    rows = bell(600).reshape(2, 300)
    for start in ("kmeans++", "random"):
        np.testing.assert_array_equal(table(rows, 8, start, 7), table(rows, 8, start, 7))
