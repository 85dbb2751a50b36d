"""What is trained when each sample has a class?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from edgepack import contracts
from edgepack.errors import RecipeError

if TYPE_CHECKING:
    from edgepack.dataset import Dataset
    from edgepack.recipe import Recipe
    from edgepack.training.config import Training

METRICS = ("accuracy",)


class Config(contracts.TaskConfig):
    """One class for each sample; the figure of merit is the share of right ones."""

    use: Literal["classification"] = "classification"


def problems(recipe: "Recipe") -> Iterator[tuple[tuple[str | int, ...], RecipeError]]:
    """None: every key of a recipe makes sense."""
    return iter(())


def prepare(config: Config, data: "Dataset") -> "Dataset":
    """The data as they are."""
    return data


def learnable(data: "Dataset", split: str) -> Any:
    """All samples of the split."""
    return getattr(data, split)


def targets(inputs: Any, labels: Any) -> Any:
    """The labels."""
    return labels


def loss(model: Any, training: "Training") -> Any:
    """Cross-entropy; logits are recognised by the absence of a final softmax.

    Labels are integers (batch,), or with mixup shares of the outputs (batch, outputs). ``label_smoothing`` of each is
    spread over all classes (1512.00567, section 7).
    """
    import tensorflow as tf
    import tf_keras

    from edgepack.training.fit import ends_with_softmax

    smoothing, logits = training.label_smoothing, not ends_with_softmax(model)
    if training.mixup:
        return tf_keras.losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
    if not smoothing:
        return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits)

    class Smoothed(tf_keras.losses.Loss):  # type: ignore[misc] # tf_keras has no type information
        def call(self, y_true: Any, y_pred: Any) -> Any:
            labels = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), tf.shape(y_pred)[-1])
            return tf_keras.losses.categorical_crossentropy(labels, y_pred, logits, smoothing)

    return Smoothed()


def check_outputs(name: str, shape: tuple[int | None, ...], data: "Dataset") -> None:
    """Compare the shape of a model's outputs with the classes.

    Raises:
        RecipeError: They are no row, or too few.
    """
    if len(shape) != 1 or (shape[0] is not None and shape[0] < data.classes):
        raise RecipeError(
            f"the model {name!r} gives outputs of shape {shape}, but the data have {data.classes} classes",
            fix="give the model one output per class (model.new_head does), or correct data.labels",
        )
