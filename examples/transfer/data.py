"""Which images of Fashion-MNIST show some of its classes, and how many of them are labelled?"""

from pathlib import Path
from typing import Any

import numpy as np

from edgepack.data import idx


def load(first: int, train: int, validation: int, seed: int = 0) -> dict[str, Any]:
    """Five classes, numbered from 0 on.

    Args:
        first: The first of the five, 0 or 5.
        train: Labelled images of each class to learn from.
        validation: Labelled images of each class to choose the best epoch by.
        seed: Which images these are, out of the 6,000 of each class.

    Returns:
        Images as uint8 (n, 28, 28, 1); the test images are all 1,000 of each class.
    """
    config = idx.Config(idx="/usr/share/datasets/fashion-mnist", fallback="fashion_mnist")
    raw = idx.load(config, Path())
    classes = range(first, first + 5)
    order = np.random.default_rng(seed).permutation(len(raw.train.y))
    chosen = [order[raw.train.y[order] == label][: train + validation] for label in classes]
    assert raw.test is not None
    tested = np.isin(raw.test.y, classes)
    parts = {
        "train": (raw.train, np.concatenate([rows[:train] for rows in chosen])),
        "validation": (raw.train, np.concatenate([rows[train:] for rows in chosen])),
        "test": (raw.test, tested),
    }
    found: dict[str, Any] = {"labels": [raw.labels[label] for label in classes]}
    for name, (samples, rows) in parts.items():
        found[f"x_{name}"], found[f"y_{name}"] = samples.x[rows], samples.y[rows].astype(np.int64) - first
    return found
