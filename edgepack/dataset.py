"""Which samples train, validate, calibrate and test a model, and how are raw values turned into its input?

One `Dataset` serves training, calibration, evaluation and golden samples, so that none of them can disagree about
preprocessing.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgepack.columns import Column
from edgepack.contracts import Preprocessing, Samples

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Dataset:
    """Raw samples in three splits, their class names, the one preprocessing for all of them, and what they are for.

    ``columns`` is empty unless the samples are rows of a table, float32 of shape (n, columns), of which the model
    itself makes its features.
    """

    train: Samples
    validation: Samples
    test: Samples
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    columns: tuple[Column, ...] = ()
    task: str = "classification"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""
        return tuple(self.train.x.shape[1:])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.labels)

    def inputs(self, split: SplitName, limit: int | None = None) -> NDArray[np.float32]:
        """Model inputs of a split: float32 of shape (n, ...), preprocessed."""
        raw = getattr(self, split).x[:limit]
        return preprocess(raw, self.preprocessing)

    def targets(self, split: SplitName, limit: int | None = None) -> NDArray[np.int64]:
        """Class labels of a split: int64 of shape (n,), each in [0, classes)."""
        return np.asarray(getattr(self, split).y[:limit], dtype=np.int64)

    def calibration(self, count: int) -> NDArray[np.float32]:
        """Model inputs of the first ``count`` training samples (they were shuffled when the splits were made)."""
        return self.inputs("train", count)

    def fingerprint(self) -> str:
        """Digest of all samples, labels, columns and the preprocessing."""
        digest = hashlib.sha256()
        digest.update(json.dumps([self.labels, self.preprocessing.model_dump()]).encode())
        if self.columns:
            digest.update(json.dumps([column.to_dict() for column in self.columns]).encode())
        for split in (self.train, self.validation, self.test):
            for array in (split.x, split.y):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def preprocess(raw: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Turn raw values of shape (n, ...) into float32 model inputs of the same shape."""
    scaled = raw.astype(np.float32) * np.float32(preprocessing.scale)
    return np.asarray(scaled + np.float32(preprocessing.offset), dtype=np.float32)


def save(dataset: Dataset, folder: Path) -> None:
    """Write a data set as plain ``.npy`` files and ``data.json`` into an existing folder."""
    for name in ("train", "validation", "test"):
        samples: Samples = getattr(dataset, name)
        np.save(folder / f"{name}_x.npy", np.ascontiguousarray(samples.x), allow_pickle=False)
        np.save(folder / f"{name}_y.npy", np.asarray(samples.y, dtype=np.int64), allow_pickle=False)
    description = {
        "labels": list(dataset.labels),
        "preprocessing": dataset.preprocessing.model_dump(),
        "columns": [column.to_dict() for column in dataset.columns],
        "fingerprint": dataset.fingerprint(),
        "samples": {name: int(getattr(dataset, name).x.shape[0]) for name in ("train", "validation", "test")},
        "input_shape": list(dataset.input_shape),
        "task": dataset.task,
    }
    (folder / "data.json").write_text(json.dumps(description, indent=1) + "\n")


def load(folder: Path) -> Dataset:
    """Read what `save` wrote; arrays are memory-mapped."""
    description = json.loads((folder / "data.json").read_text())

    def samples(name: str) -> Samples:
        return Samples(
            np.load(folder / f"{name}_x.npy", mmap_mode="r", allow_pickle=False),
            np.load(folder / f"{name}_y.npy", allow_pickle=False),
        )

    return Dataset(
        samples("train"),
        samples("validation"),
        samples("test"),
        tuple(description["labels"]),
        Preprocessing(**description["preprocessing"]),
        tuple(Column.from_dict(column) for column in description["columns"]),
        description["task"],
    )
