import numpy as np
import pytest

from edgepack.runner import noise
from edgepack.runner.errors import UsageError
from edgepack.runner.tensors import TensorSpec


def test_noise_is_the_same_each_time_and_new_in_each_sample() -> None:
    spec = TensorSpec("x", (-1, 5, 5), "float32")
    first, second = noise.samples(spec), noise.samples(spec)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (noise.SAMPLES, 1, 5, 5)
    assert len(np.unique(first)) > 0.99 * first.size


def test_floats_are_uniform_in_zero_to_one() -> None:
    values = noise.samples(TensorSpec("x", (1, 2000), "float32"))
    assert values.min() >= 0
    assert values.max() <= 1
    histogram, _ = np.histogram(values, bins=10, range=(0, 1))
    np.testing.assert_allclose(histogram / values.size, 0.1, atol=0.01)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_small_integers_fill_their_range(dtype: str) -> None:
    values = noise.samples(TensorSpec("x", (1, 60_000), dtype, 1.0, 0), 4)
    limits = np.iinfo(dtype)
    assert values.dtype == dtype
    assert values.min() <= limits.min + 2
    assert values.max() >= limits.max - 2


def test_wide_integers_are_indices_that_any_table_has() -> None:
    assert set(np.unique(noise.samples(TensorSpec("token", (1, 50), "int64")))) == {0, 1}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TensorSpec("x", (1, 2**40), "float32"), "'x' has the shape"),
        (TensorSpec("x", (1, 2**31, 2**31), "int8", 1.0, 0), "expected at most 1,024"),
        (TensorSpec("x", (1, 4), "complex64"), "noise is made of numbers"),
    ],
)
def test_an_input_of_a_damaged_file_is_refused_before_memory_is_taken(spec: TensorSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        noise.samples(spec)
