"""What is trained when only normal samples are known, and all others are to be noticed?

A model learns to give back normal samples; what it gives back badly is an anomaly (MLPerf Tiny, 2106.07597, section 4).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from edgepack import contracts
from edgepack.contracts import Samples
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean

if TYPE_CHECKING:
    from edgepack.dataset import Dataset
    from edgepack.recipe import Recipe
    from edgepack.training.config import Training

METRICS: tuple[str, ...] = ()
LABELS = ("normal", "anomalous")


class Config(contracts.TaskConfig):
    """Normal samples are learnt, anomalies noticed; the figure of merit is the ROC AUC of the reconstruction error."""

    use: Literal["anomaly"] = "anomaly"
    normal: tuple[str, ...] = Field(min_length=1, description="the classes that are normal; all others are anomalies")


def problems(recipe: "Recipe") -> Iterator[tuple[tuple[str | int, ...], RecipeError]]:
    """What a recipe asks for that only samples with classes can give."""
    for key in ("mixup", "label_smoothing"):
        if getattr(recipe.training, key):
            yield (
                ("training", key),
                RecipeError(f"training.{key} mixes labels of classes, and `task: anomaly` has none", fix=f"drop {key}"),
            )
    for key in ("table", "select_features"):
        if getattr(recipe.data, key) is not None:
            yield (
                ("data",),
                RecipeError(
                    f"data.{key}: `task: anomaly` compares a model's outputs with its inputs, and raw columns have no "
                    "common scale",
                    fix=f"set data.{key} to null, and scale the numbers with data.preprocessing",
                ),
            )
    for index, step in enumerate(recipe.compress):
        if getattr(step, "use", "") == "distill" or getattr(step, "distill", None) is not None:
            yield (
                ("compress", index),
                RecipeError(
                    "compress: teachers teach probabilities of classes, and `task: anomaly` has none",
                    fix="drop `distill`",
                ),
            )


def prepare(config: Config, data: "Dataset") -> "Dataset":
    """Labels become 0 = normal and 1 = anomalous, and anomalies leave the training split.

    Raises:
        RecipeError: A normal class is unknown, all classes are normal, or a split lacks one of the two.
    """
    unknown = [name for name in config.normal if name not in data.labels]
    if unknown:
        raise RecipeError(
            f"task.normal: there is no class {unknown[0]!r}; the data have: {', '.join(data.labels)}",
            fix=did_you_mean(unknown[0], data.labels) or "use names from this list",
        )
    codes = [index for index, name in enumerate(data.labels) if name in config.normal]

    def judged(samples: Samples) -> Samples:
        return Samples(samples.x, np.asarray(~np.isin(samples.y, codes), dtype=np.int64))

    found = replace(
        data, train=judged(data.train), validation=judged(data.validation), test=judged(data.test), labels=LABELS,
        task="anomaly",
    )  # fmt: skip
    for split, wanted in (("train", (0,)), ("validation", (0, 1)), ("test", (0, 1))):
        for code in wanted:
            if not np.any(getattr(found, split).y == code):
                raise RecipeError(
                    f"task: the {split} split holds no {LABELS[code]} sample",
                    fix="correct task.normal, add samples, or enlarge data.split",
                )
    return replace(found, train=learnable(found, "train"))


def learnable(data: "Dataset", split: str) -> Any:
    """The normal samples of the split."""
    samples = getattr(data, split)
    return Samples(samples.x[samples.y == 0], samples.y[samples.y == 0])


def targets(inputs: Any, labels: Any) -> Any:
    """The model's inputs."""
    return inputs


def loss(model: Any, training: "Training") -> Any:
    """Mean squared error of all values of a sample."""
    import tf_keras

    return tf_keras.losses.MeanSquaredError()


def check_outputs(name: str, shape: tuple[int | None, ...], data: "Dataset") -> None:
    """Compare the shape of a model's outputs with that of its inputs.

    Raises:
        RecipeError: They have another shape.
    """
    if shape != data.input_shape:
        raise RecipeError(
            f"the model {name!r} gives outputs of shape {shape}; `task: anomaly` expects those of the inputs, "
            f"{data.input_shape}",
            fix="give a model that gives back its input, e.g. `zoo: autoencoder`",
        )
