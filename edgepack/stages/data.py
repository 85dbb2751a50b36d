"""Which samples are there, and are they fit for training?"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgepack import dataset, extensions
from edgepack.contracts import DataConfig, RawData, Samples
from edgepack.data._table import Tabulated, tabulate
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe
from edgepack.stages.request import Request

SMOKE_SAMPLES = 512


def run(request: Request) -> dict[str, Any]:
    """Load, check, shuffle and split the data, and choose columns; writes what `edgepack.dataset.save` writes.

    ``selection.json`` beside it says how columns were chosen, or null.
    """
    made = prepare(request.recipe, request.base)
    data = _first(made.data, SMOKE_SAMPLES) if request.smoke else made.data
    task = request.recipe.task
    data = extensions.load("edgepack.tasks", extensions.name_of(task)).prepare(task, data)
    dataset.save(data, request.out)
    (request.out / "selection.json").write_text(json.dumps(made.selection, indent=1) + "\n")
    return {"fingerprint": data.fingerprint(), "train": len(data.train.y), "test": len(data.test.y)}


def prepare(recipe: Recipe, base: Path) -> Tabulated:
    """All samples of a recipe, checked and split; those of a table in columns.

    Raises:
        RecipeError: The samples are not what the recipe or a model needs; see `split` and `tabulate`.
    """
    raw = load_raw(recipe, base)
    data = split(raw, recipe.data, seed=recipe.seed)
    if recipe.data.table is None and recipe.data.select_features is None:
        return Tabulated(data, None)
    return tabulate(data, raw.columns, recipe.data, seed=recipe.seed)


def load_raw(recipe: Recipe, base: Path) -> RawData:
    """Read all samples of a recipe's data source."""
    kind = extensions.name_of(recipe.data)
    raw: RawData = extensions.load("edgepack.data", kind).load(recipe.data, base)
    return raw


def split(raw: RawData, config: DataConfig, *, seed: int) -> Dataset:
    """Check the samples, then divide what has no split yet, shuffled by ``seed``.

    Raises:
        RecipeError: Labels that are no classes, values that are not finite, splits without samples, classes without a
            training sample.
    """
    labels = config.labels or raw.labels
    for name, part in (("train", raw.train), ("validation", raw.validation), ("test", raw.test)):
        if part is not None:
            _check(part, labels, name, missing=config.table is not None or config.select_features is not None)
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
    missing = np.flatnonzero(np.bincount(data.train.y, minlength=len(labels)) == 0)
    if missing.size:
        raise RecipeError(
            f"data: no training sample is of the class {labels[missing[0]]!r}, of {len(data.train.y)}",
            fix="give more samples of it, drop it, or try another seed or a smaller data.split",
        )
    return data


def _check(samples: Samples, labels: tuple[str, ...], name: str, *, missing: bool) -> None:
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
    if np.issubdtype(x.dtype, np.floating):
        wrong = np.isinf(x) if missing else ~np.isfinite(x)
        if wrong.any():
            what = "holds infinity" if missing else "holds NaN or infinity"
            row = int(np.argwhere(wrong)[0][0])
            raise RecipeError(f"data: sample {row} of {name} {what}", fix="repair or drop the sample")


def _first(data: Dataset, count: int) -> Dataset:
    def cut(samples: Samples) -> Samples:
        return Samples(samples.x[:count], samples.y[:count])

    return replace(data, train=cut(data.train), validation=cut(data.validation), test=cut(data.test))
