"""Are samples divided once, reproducibly, without overlap, and is bad data refused by name?"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.contracts import DataConfig, Preprocessing, RawData, Samples, Split
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.stages.data import split

LABELS = ("a", "b", "c")


def numbered(count: int, start: int = 0) -> Samples:
    """Samples that are their own number."""
    return Samples(np.arange(start, start + count, dtype=np.float32)[:, None], np.arange(count) % 3)


def config(**keys: Any) -> DataConfig:
    return DataConfig.model_validate({"split": {"validation": 0.2, "test": 0.1}, **keys})


def members(data: Dataset) -> dict[str, set[int]]:
    return {name: set(getattr(data, name).x[:, 0].astype(int).tolist()) for name in ("train", "validation", "test")}


@given(
    count=st.integers(100, 300),  # so many that no class is left out by chance
    validation=st.floats(0.11, 0.4),
    test=st.floats(0.11, 0.4),
    seed=st.integers(0, 2**31 - 1),
)
def test_the_splits_are_disjoint_complete_and_as_large_as_asked(
    count: int, validation: float, test: float, seed: int
) -> None:
    settings = DataConfig(split=Split(validation=validation, test=test))
    data = split(RawData(numbered(count), None, None, LABELS), settings, seed=seed)
    parts = members(data)
    assert sum(len(part) for part in parts.values()) == count
    assert set.union(*parts.values()) == set(range(count))
    assert len(parts["validation"]) == round(count * validation)
    assert len(parts["test"]) == round(count * test)
    for name in parts:
        samples: Samples = getattr(data, name)
        np.testing.assert_array_equal(samples.y, samples.x[:, 0] % 3)  # labels stay with their samples


def test_the_seed_decides() -> None:
    raw = RawData(numbered(100), None, None, LABELS)
    first, same, other = (split(raw, config(), seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    assert members(first) != members(other)


def test_the_sources_own_splits_are_kept() -> None:
    raw = RawData(numbered(50), numbered(7, 1000), numbered(9, 2000), LABELS)
    parts = members(split(raw, config(), seed=0))
    assert parts == {"train": set(range(50)), "validation": set(range(1000, 1007)), "test": set(range(2000, 2009))}
    parts = members(split(RawData(numbered(50), None, numbered(9, 2000), LABELS), config(), seed=0))
    assert {name: len(part) for name, part in parts.items()} == {"train": 40, "validation": 10, "test": 9}
    assert parts["train"] | parts["validation"] == set(range(50))


def test_names_of_classes_come_from_the_recipe_or_the_source() -> None:
    raw = RawData(numbered(50), None, None, LABELS)
    assert split(raw, config(), seed=0).labels == LABELS
    data = split(raw, config(labels=["x", "y", "z"], preprocessing={"scale": 0.5}), seed=0)
    assert (data.labels, data.preprocessing) == (("x", "y", "z"), Preprocessing(scale=0.5))


def spoiled(**parts: Any) -> RawData:
    """Twelve good samples with something else in their place."""
    good = {"x": np.zeros((12, 4), np.float32), "y": np.arange(12) % 3}
    return RawData(Samples(**{**good, **parts}), None, None, LABELS)


def with_value(value: float) -> Any:
    x = np.zeros((12, 4), np.float32)
    x[7, 2] = value
    return x


def with_label(label: int) -> Any:
    y = np.arange(12) % 3
    y[5] = label
    return y


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"y": with_label(3)}, "the train label 3 of sample 5 is outside the 3 classes 0..2"),
        ({"y": with_label(-1)}, "the train label -1 of sample 5 is outside the 3 classes 0..2"),
        ({"x": with_value(float("nan"))}, "sample 7 of train holds NaN or infinity"),
        ({"x": with_value(float("-inf"))}, "sample 7 of train holds NaN or infinity"),
        ({"y": np.arange(11) % 3}, "train has 12 samples but labels of shape (11,)"),
        ({"y": np.zeros((12, 3), int)}, "train has 12 samples but labels of shape (12, 3)"),
        ({"y": np.zeros(12)}, "train labels are float64; expected integer classes"),
        ({"y": np.array(["a"] * 12)}, "train labels are <U1; expected integer classes"),
        ({"x": np.array([["text"]] * 12)}, "train samples are <U4; expected numbers"),
        ({"x": np.zeros((0, 4)), "y": np.zeros(0, int)}, "the train split holds no sample of 0"),
        ({"y": np.arange(12) % 2}, "no training sample is of the class 'c', of "),
    ],
)
def test_bad_samples_are_named(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        split(spoiled(**parts), config(), seed=0)
    assert message in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize("part", ["validation", "test"])
def test_every_split_is_checked(part: str) -> None:
    bad = Samples(np.zeros((3, 1), np.float32), np.array([0, 1, 9]))
    raw = RawData(numbered(50), **{"validation": None, "test": None, part: bad}, labels=LABELS)
    with pytest.raises(RecipeError, match=f"the {part} label 9 of sample 2"):
        split(raw, config(), seed=0)
    other = Samples(np.zeros((3, 2), np.float32), np.array([0, 1, 2]))
    raw = RawData(numbered(50), **{"validation": None, "test": None, part: other}, labels=LABELS)
    with pytest.raises(RecipeError, match=rf"{part} samples have the shape \(2,\), training samples \(1,\)"):
        split(raw, config(), seed=0)


@pytest.mark.parametrize(("shares", "empty"), [((0, 0.2), "validation"), ((0.2, 0), "test"), ((0.49, 0.5), "train")])
def test_a_split_without_samples_is_refused(shares: tuple[float, float], empty: str) -> None:
    settings = DataConfig(split=Split(validation=shares[0], test=shares[1]))
    with pytest.raises(RecipeError, match=f"the {empty} split holds no sample of 12"):
        split(RawData(numbered(12), None, None, LABELS), settings, seed=0)
