"""Do all uses of the data see the same samples, preprocessed the same way, also after saving?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepack import dataset
from edgepack.contracts import Preprocessing, Samples
from edgepack.dataset import Dataset


def samples(count: int, start: int = 0) -> Samples:
    x = np.arange(start, start + count * 4, dtype=np.uint8).reshape(count, 2, 2, 1)
    return Samples(x, np.arange(count) % 3)


@pytest.fixture
def data() -> Dataset:
    return Dataset(samples(12), samples(3, 100), samples(5, 150), ("a", "b", "c"), Preprocessing(scale=0.5, offset=-1))


def test_inputs_are_raw_values_scaled_and_shifted(data: Dataset) -> None:
    first = data.inputs("train", 2)
    np.testing.assert_array_equal(first[..., 0], [[[-1, -0.5], [0, 0.5]], [[1, 1.5], [2, 2.5]]])
    assert first.dtype == np.float32
    assert data.inputs("test").shape == (5, 2, 2, 1)
    np.testing.assert_array_equal(data.targets("train", 4), [0, 1, 2, 0])
    assert data.targets("validation").dtype == np.int64
    assert (data.input_shape, data.classes) == ((2, 2, 1), 3)


def test_calibration_takes_training_samples(data: Dataset) -> None:
    np.testing.assert_array_equal(data.calibration(7), data.inputs("train", 7))
    assert len(data.calibration(100)) == 12


def test_what_is_saved_comes_back(data: Dataset, tmp_path: Path) -> None:
    dataset.save(data, tmp_path)
    again = dataset.load(tmp_path)
    assert again.fingerprint() == data.fingerprint()
    assert (again.labels, again.preprocessing) == (data.labels, data.preprocessing)
    assert again.train.x.dtype == np.uint8
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(again.inputs(split), data.inputs(split))
        np.testing.assert_array_equal(again.targets(split), data.targets(split))


def changed(data: Dataset, what: str) -> Dataset:
    parts: dict[str, Any] = dict(vars(data))
    if what == "sample":
        x = np.array(data.test.x)
        x[2, 1, 1, 0] += 1
        parts["test"] = Samples(x, data.test.y)
    elif what == "label":
        y = np.array(data.train.y)
        y[0] = 2
        parts["train"] = Samples(data.train.x, y)
    elif what == "dtype":
        parts["train"] = Samples(data.train.x.astype(np.int16), data.train.y)
    elif what == "shape":
        parts["train"] = Samples(data.train.x.reshape(12, 4), data.train.y)
    elif what == "names":
        parts["labels"] = ("a", "b", "d")
    else:
        parts["preprocessing"] = Preprocessing(scale=0.5)
    return Dataset(**parts)


@pytest.mark.parametrize("what", ["sample", "label", "dtype", "shape", "names", "preprocessing"])
def test_the_fingerprint_notices_every_change(data: Dataset, what: str) -> None:
    assert changed(data, what).fingerprint() != data.fingerprint()


def test_the_fingerprint_does_not_depend_on_memory_order(data: Dataset) -> None:
    other = Samples(np.asfortranarray(data.train.x), data.train.y)
    assert Dataset(**{**vars(data), "train": other}).fingerprint() == data.fingerprint()


NUMBERS = hnp.arrays(np.float32, (3, 2), elements=st.floats(-1000, 1000, width=32))
FACTORS = st.floats(-100, 100, width=32)


@given(NUMBERS, FACTORS, FACTORS)
def test_preprocessing_is_one_multiplication_and_one_addition_in_float32(
    raw: np.ndarray, scale: float, offset: float
) -> None:
    got = dataset.preprocess(raw, Preprocessing(scale=scale, offset=offset))
    np.testing.assert_array_equal(got, raw * np.float32(scale) + np.float32(offset))
    assert (got.dtype, got.shape) == (np.float32, raw.shape)
