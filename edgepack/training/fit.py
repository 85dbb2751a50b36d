"""How is a model fitted so that the same seed gives the same weights?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgepack.contracts import Progress, ScheduleConfig, Span
from edgepack.dataset import Dataset, preprocess
from edgepack.errors import RecipeError
from edgepack.training import callbacks as between
from edgepack.training import course
from edgepack.training.batches import evaluation_batches, training_batches
from edgepack.training.config import Training
from edgepack.training.distillation import Lesson, student


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
    schedule: ScheduleConfig,
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
        training: Everything else: batch size, optimizer, warm-up, regularisation, augmentation, averaging, patience.
        epochs: Passes over the training samples; 0 leaves the model as it is.
        learning_rate: Peak rate.
        schedule: Course of the learning rate, and of the momentum where it moves that too.
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
    span = Span(epochs, max(1, -(-len(data.train.y) // training.batch_size)))
    rate = course.rate(schedule, learning_rate, span, warmup_epochs=training.warmup_epochs, scaling=training.scaling)
    outputs = int(model.outputs[0].shape[-1])
    trained = model if lesson is None else student(model, lesson, probabilities=ends_with_softmax)
    if training.l1 or training.l2:
        trained = _penalised(model, trained, training.l1, training.l2)
    compile_model(trained, training, rate(0))
    averaged = between.averaging(model, training.averaging) if training.averaging else None
    best = between.best_weights(
        lambda: [average.numpy() for average in averaged.averages] if averaged else model.get_weights(), best_from_epoch
    )
    followers = [between.follow(rate, course.momentum(schedule, span)), best, between.reporter(progress, label, span)]
    history = trained.fit(
        training_batches(data, training, seed=seed, outputs=outputs),
        validation_data=evaluation_batches(data, "validation", outputs=outputs if training.mixup else None),
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, *([averaged] if averaged else []), *followers, *_patience(training)],
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
        optimizer = tf_keras.optimizers.SGD(
            learning_rate, momentum=0.9, nesterov=True, global_clipnorm=training.clip_norm
        )
    else:
        optimizer = tf_keras.optimizers.Adam(learning_rate, global_clipnorm=training.clip_norm)
    if training.weight_decay:
        optimizer.weight_decay = training.weight_decay
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = _loss(training.label_smoothing, logits=not ends_with_softmax(model), shares=bool(training.mixup))
    model.compile(optimizer, loss, metrics=["accuracy"])


def _loss(smoothing: float, *, logits: bool, shares: bool = False) -> Any:
    """Cross-entropy with labels of which ``smoothing`` is spread over all classes (1512.00567, section 7).

    Args:
        smoothing: As a fraction.
        logits: The model does not end with a softmax.
        shares: Labels are shares of the outputs (batch, outputs) and not integers (batch,).
    """
    import tensorflow as tf
    import tf_keras

    if shares:
        return tf_keras.losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
    if not smoothing:
        return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits)

    class Smoothed(tf_keras.losses.Loss):  # type: ignore[misc] # tf_keras has no type information
        def call(self, y_true: Any, y_pred: Any) -> Any:
            labels = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), tf.shape(y_pred)[-1])
            return tf_keras.losses.categorical_crossentropy(labels, y_pred, logits, smoothing)

    return Smoothed()


def _penalised(model: Any, trained: Any, l1: float, l2: float) -> Any:
    """A model of the same layers whose loss has ``l1 * sum(|w|) + l2 * sum(w^2)`` of all kernels that are trained."""
    import tensorflow as tf
    import tf_keras

    kernels = [weight for weight in model.trainable_weights if "kernel" in weight.name]

    def penalty() -> Any:
        return tf.add_n([l1 * tf.reduce_sum(tf.abs(w)) + l2 * tf.reduce_sum(tf.square(w)) for w in kernels])

    if trained is model:  # a model that goes on to the next stage must not keep the penalty
        trained = tf_keras.Model(model.inputs, model.outputs, name=model.name)
    trained.add_loss(penalty)
    return trained


def _patience(training: Training) -> list[Any]:
    import tf_keras

    if training.patience is None:
        return []
    return [tf_keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max", patience=training.patience)]


def ends_with_softmax(model: Any) -> bool:
    """True when the model's outputs are probabilities."""
    layer = model.layers[-1]
    layer = getattr(layer, "layer", layer)
    activation = getattr(layer, "activation", None)
    activation = getattr(activation, "activation", activation)
    return type(layer).__name__ == "Softmax" or getattr(activation, "__name__", "") == "softmax"


def predict(model: Any, data: Dataset, split: str, limit: int | None = None) -> Any:
    """Model outputs of a split: float32 of shape (n, classes)."""
    import numpy as np

    samples = getattr(data, split)
    x = preprocess(samples.x[:limit], data.preprocessing)
    return np.asarray(model.predict(x, batch_size=512, verbose=0), dtype=np.float32)
