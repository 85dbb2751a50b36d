"""Which samples are there, and are they fit for training?"""

from pathlib import Path
from typing import Any

import numpy as np

from edgepack import dataset, extensions
from edgepack.contracts import DataConfig, RawData, Samples
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe
from edgepack.stages.request import Request

SMOKE_SAMPLES = 512


def run(request: Request) -> dict[str, Any]:
    """Load, check, shuffle and split the data; writes what `edgepack.dataset.save` writes."""
    raw = load_raw(request.recipe, request.base)
    data = split(raw, request.recipe.data, seed=request.recipe.seed)
    if request.smoke:
        data = _first(data, SMOKE_SAMPLES)
    dataset.save(data, request.out)
    return {"fingerprint": data.fingerprint(), "train": len(data.train.y), "test": len(data.test.y)}


def load_raw(recipe: Recipe, base: Path) -> RawData:
    """Read all samples of a recipe's data source."""
    kind = extensions.name_of(recipe.data)
    raw: RawData = extensions.load("edgepack.data", kind).load(recipe.data, base)
    return raw


def split(raw: RawData, config: DataConfig, *, seed: int) -> Dataset:
    """Check the samples, then divide what has no split yet, shuffled by ``seed``.

    Raises:
        RecipeError: Labels that are no classes, values that are not finite, splits without samples.
    """
    labels = config.labels or raw.labels
    for name, part in (("train", raw.train), ("validation", raw.validation), ("test", raw.test)):
        if part is not None:
            _check(part, labels, name)
            if part.x.shape[1:] != raw.train.x.shape[1:]:
                raise RecipeError(
                    f"data: {name} samples have the shape {part.x.shape[1:]}, training samples {raw.train.x.shape[1:]}",
                    fix="bring both to the same shape",
                )
    order = np.random.default_rng(seed).permutation(len(raw.train.y))
    count = len(order)
    test_count = 0 if raw.test is not None else round(count * config.split.test)
    validation_count = 0 if raw.validation is not None else round(count * config.split.validation)
    pieces = np.split(order, [test_count, test_count + validation_count])

    def take(indices: Any) -> Samples:
        return Samples(raw.train.x[indices], np.asarray(raw.train.y[indices], dtype=np.int64))

    data = Dataset(
        train=take(pieces[2]),
        validation=raw.validation or take(pieces[1]),
        test=raw.test or take(pieces[0]),
        labels=labels,
        preprocessing=config.preprocessing,
    )
    for name in ("train", "validation", "test"):
        if len(getattr(data, name).y) == 0:
            raise RecipeError(
                f"data: the {name} split holds no sample of {count}", fix="add samples, or enlarge data.split"
            )
    return data


def _check(samples: Samples, labels: tuple[str, ...], name: str) -> None:
    x, y = samples.x, samples.y
    if len(x) != len(y) or y.ndim != 1:
        raise RecipeError(
            f"data: {name} has {len(x)} samples but labels of shape {y.shape}; expected one integer per sample",
            fix="give y the shape (n,)",
        )
    if not np.issubdtype(y.dtype, np.integer):
        raise RecipeError(
            f"data: {name} labels are {y.dtype}; expected integer classes", fix="encode classes as 0, 1, ..."
        )
    if y.size and (y.min() < 0 or y.max() >= len(labels)):
        bad = int(y.min()) if y.min() < 0 else int(y.max())
        row = int(np.flatnonzero(y == bad)[0])
        raise RecipeError(
            f"data: the {name} label {bad} of sample {row} is outside the {len(labels)} classes 0..{len(labels) - 1}",
            fix="correct the label, or name every class in data.labels",
        )
    if not np.issubdtype(x.dtype, np.number):
        raise RecipeError(f"data: {name} samples are {x.dtype}; expected numbers", fix="convert them to numbers")
    if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise RecipeError(f"data: sample {row} of {name} holds NaN or infinity", fix="repair or drop the sample")


def _first(data: Dataset, count: int) -> Dataset:
    def cut(samples: Samples) -> Samples:
        return Samples(samples.x[:count], samples.y[:count])

    return Dataset(cut(data.train), cut(data.validation), cut(data.test), data.labels, data.preprocessing)
