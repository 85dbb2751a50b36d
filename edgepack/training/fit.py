"""How is a model fitted so that the same seed gives the same weights?"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgepack.contracts import Progress
from edgepack.dataset import Dataset, preprocess
from edgepack.errors import RecipeError
from edgepack.training.config import Augment, Training
from edgepack.training.distillation import Lesson, student
from edgepack.training.schedules import SCHEDULES, Schedule

PROGRESS_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Fitted:
    """What training left, besides the weights.

    Attributes:
        curve: One entry per epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``,
            ``learning_rate``, and whatever callbacks add.
        best_epoch: The epoch whose weights were kept, from 1 on.
    """

    curve: tuple[dict[str, float], ...]
    best_epoch: int


def fit(
    model: Any,
    data: Dataset,
    training: Training,
    *,
    epochs: int,
    learning_rate: float,
    schedule: str,
    seed: int,
    progress: Progress,
    label: str,
    callbacks: Sequence[Any] = (),
    best_from_epoch: int = 0,
    lesson: Lesson | None = None,
) -> Fitted:
    """Fit a tf_keras classifier in place and leave it with its best weights.

    "Best" is the highest validation accuracy, then the lowest validation loss, from epoch ``best_from_epoch`` on
    (0-based): a pruning step must not fall back to weights from before its final sparsity.

    Args:
        model: tf_keras model; input float32 (batch, ...), output (batch, classes).
        data: Samples; only the training and validation splits are used.
        training: Batch size, optimizer, weight decay, augmentation.
        epochs: Passes over the training samples; 0 leaves the model as it is.
        learning_rate: Peak rate.
        schedule: Name in `SCHEDULES`.
        seed: Seed of shuffling and augmentation.
        progress: Receives an event at least twice a second.
        label: What to call this work in progress events.
        callbacks: Further tf_keras callbacks, called before edgepack's own.
        best_from_epoch: First epoch whose weights may be kept.
        lesson: Teachers, if the model is to learn from any; the entries of the curve then have ``distillation_loss``.
    """
    check_fits(model, data)
    if epochs == 0:
        return Fitted((), 0)
    steps = max(1, -(-len(data.train.y) // training.batch_size))
    rate = SCHEDULES[schedule](learning_rate, epochs * steps)
    trained = model if lesson is None else student(model, lesson, probabilities=ends_with_softmax)
    compile_model(trained, training, rate(0))
    best = _best_weights(model, best_from_epoch)
    history = trained.fit(
        training_batches(data, training, seed=seed),
        validation_data=evaluation_batches(data, "validation"),
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, _learning_rate(rate), best, _reporter(progress, label, epochs, steps)],
    ).history
    if best.weights is not None:
        model.set_weights(best.weights)
    names = sorted(set(history) - {"val_distillation_loss"})  # nobody teaches while a model is validated
    curve = tuple(
        {"epoch": epoch + 1, **{name: float(history[name][epoch]) for name in names}}
        for epoch in range(len(history.get("loss", ())))
    )
    return Fitted(curve, best.epoch + 1)


def evaluate(model: Any, data: Dataset) -> dict[str, float]:
    """Loss and accuracy of a compiled or uncompiled classifier on the validation split."""
    compile_model(model, Training(), 1e-3)
    loss, accuracy = model.evaluate(evaluation_batches(data, "validation"), verbose=0)
    return {"val_loss": float(loss), "val_accuracy": float(accuracy)}


def check_fits(model: Any, data: Dataset) -> None:
    """Compare a model's input and output with the data.

    Raises:
        RecipeError: Several inputs or outputs, another input shape, too few outputs for the classes.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise RecipeError(
            f"the model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "expected one each",
            fix="give a model with a single input and a single output",
        )
    expected = tuple(model.inputs[0].shape[1:])
    fits = len(expected) == len(data.input_shape) and all(
        axis in (None, size) for axis, size in zip(expected, data.input_shape, strict=True)
    )
    if not fits:
        raise RecipeError(
            f"the model {model.name!r} takes inputs of shape {expected}, but the data have {data.input_shape}",
            fix="change the model's input, or the data's shape (image_shape, size)",
        )
    outputs = tuple(model.outputs[0].shape[1:])
    if len(outputs) != 1 or (outputs[0] is not None and outputs[0] < data.classes):
        raise RecipeError(
            f"the model {model.name!r} gives outputs of shape {outputs}, but the data have {data.classes} classes",
            fix="give the model one output per class, or correct data.labels",
        )


def compile_model(model: Any, training: Training, learning_rate: float) -> None:
    """Compile for sparse integer labels; logits are recognised by the absence of a final softmax."""
    import tf_keras

    if training.optimizer == "sgd":
        optimizer = tf_keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
    else:
        optimizer = tf_keras.optimizers.Adam(learning_rate)
    if training.weight_decay:
        optimizer.weight_decay = training.weight_decay
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, _loss(training.label_smoothing, logits=not ends_with_softmax(model)), metrics=["accuracy"])


def _loss(smoothing: float, *, logits: bool) -> Any:
    """Cross-entropy with integer labels of which ``smoothing`` is spread over all classes (1512.00567, section 7)."""
    import tensorflow as tf
    import tf_keras

    if not smoothing:
        return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits)

    class Smoothed(tf_keras.losses.Loss):  # type: ignore[misc] # tf_keras has no type information
        def call(self, y_true: Any, y_pred: Any) -> Any:
            labels = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), tf.shape(y_pred)[-1])
            return tf_keras.losses.categorical_crossentropy(labels, y_pred, logits, smoothing)

    return Smoothed()


def ends_with_softmax(model: Any) -> bool:
    """True when the model's outputs are probabilities."""
    layer = model.layers[-1]
    layer = getattr(layer, "layer", layer)
    activation = getattr(layer, "activation", None)
    activation = getattr(activation, "activation", activation)
    return type(layer).__name__ == "Softmax" or getattr(activation, "__name__", "") == "softmax"


def training_batches(data: Dataset, training: Training, *, seed: int) -> Any:
    """Shuffled, augmented batches: float32 (batch, ...) and int64 (batch,), in an order that ``seed`` fixes."""
    import tensorflow as tf

    x, y = tf.constant(data.train.x[:]), tf.constant(data.targets("train"))
    scale, offset = data.preprocessing.scale, data.preprocessing.offset
    augment = _augmentation(training.augment, data.input_shape)

    def batch(indices: Any, seeds: Any) -> tuple[Any, Any]:
        images = tf.cast(tf.gather(x, indices), tf.float32) * scale + offset
        return augment(images, seeds), tf.gather(y, indices)

    order = tf.data.Dataset.range(len(data.train.y)).shuffle(len(data.train.y), seed=seed)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    batches = tf.data.Dataset.zip((order.batch(training.batch_size), seeds))
    return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(data: Dataset, split: str, batch_size: int = 512) -> Any:
    """Batches of a split in file order, not augmented."""
    import tensorflow as tf

    samples = getattr(data, split)
    rows = tf.data.Dataset.from_tensor_slices((samples.x[:], data.targets(split)))  # type: ignore[arg-type]

    def batch(raw: Any, labels: Any) -> tuple[Any, Any]:
        return tf.cast(raw, tf.float32) * data.preprocessing.scale + data.preprocessing.offset, labels

    return rows.batch(batch_size).map(batch).prefetch(tf.data.AUTOTUNE)


def predict(model: Any, data: Dataset, split: str, limit: int | None = None) -> Any:
    """Model outputs of a split: float32 of shape (n, classes)."""
    import numpy as np

    samples = getattr(data, split)
    x = preprocess(samples.x[:limit], data.preprocessing)
    return np.asarray(model.predict(x, batch_size=512, verbose=0), dtype=np.float32)


def _augmentation(augment: Augment, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    if (augment.flip or augment.shift) and len(shape) != 3:
        raise RecipeError(
            f"training.augment needs images of (height, width, channels); the samples have the shape {shape}",
            fix="remove training.augment, or set image_shape",
        )

    def apply(images: Any, seeds: Any) -> Any:
        count = tf.shape(images)[0]
        if augment.flip:
            mirrored = tf.random.stateless_uniform([count, 1, 1, 1], seeds) < 0.5
            images = tf.where(mirrored, tf.reverse(images, [2]), images)
        if augment.shift:
            by = augment.shift
            padded = tf.pad(images, [[0, 0], [by, by], [by, by], [0, 0]])
            starts = tf.random.stateless_uniform([2, count, 1], seeds + 1, 0, 2 * by + 1, tf.int32)
            rows, columns = (starts[axis] + tf.range(shape[axis])[None] for axis in (0, 1))
            images = tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
        return images

    return apply


def _learning_rate(rate: Schedule) -> Any:
    import tf_keras

    class LearningRate(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.step = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate.assign(rate(self.step))
            self.step += 1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs is not None:
                logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())

    return LearningRate()


def _best_weights(kept: Any, from_epoch: int) -> Any:
    import tf_keras

    class BestWeights(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.score: tuple[float, float] | None = None
            self.weights: Any = None
            self.epoch = -1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            score = (logs["val_accuracy"], -logs["val_loss"])
            if epoch >= from_epoch and (self.score is None or score > self.score):
                self.score, self.weights, self.epoch = score, kept.get_weights(), epoch

    return BestWeights()


def _reporter(progress: Progress, label: str, epochs: int, steps: int) -> Any:
    import tf_keras

    class Reporter(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.done = 0
            self.last = 0.0
            self.text = ""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            now = time.monotonic()
            if now - self.last > PROGRESS_INTERVAL_S:
                self.last = now
                progress({"label": label, "step": self.done, "steps": epochs * steps, "text": self.text})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs = logs or {}
            self.text = f"epoch {epoch + 1}/{epochs}, validation accuracy {logs.get('val_accuracy', 0):.4f}"
            progress({"label": label, "step": self.done, "steps": epochs * steps, "text": self.text})

    return Reporter()
