"""How is a model fitted so that the same seed gives the same weights?"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.contracts import Progress, ScheduleConfig
from edgepack.dataset import Dataset, preprocess
from edgepack.errors import RecipeError
from edgepack.training import callbacks as between
from edgepack.training import checkpoints, course, distribution, optimizers
from edgepack.training.batches import evaluation_batches, span_of, training_batches
from edgepack.training.config import Training
from edgepack.training.distillation import Lesson, student
from edgepack.training.learner import learner
from edgepack.training.randomness import seeded
from edgepack.training.rates import by_variable
from edgepack.training.waiting import timed


@dataclass(frozen=True)
class Fitted:
    """What training left, besides the weights.

    Attributes:
        curve: One entry per epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``,
            ``learning_rate``, and whatever callbacks add.
        best_epoch: The epoch whose weights were kept, from 1 on.
        data_wait: Share of the time of training that was spent waiting for data, as a fraction; None = not known.
    """

    curve: tuple[dict[str, float], ...]
    best_epoch: int
    data_wait: float | None = None


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
    checkpoint: Path | None = None,
    rate_factors: Mapping[str, float] | None = None,
) -> Fitted:
    """Fit a tf_keras classifier in place and leave it with its best weights.

    "Best" is the highest validation accuracy, then the lowest validation loss, from epoch ``best_from_epoch`` on
    (0-based): a pruning step must not fall back to weights from before its final sparsity.

    Args:
        model: tf_keras model; input float32 (batch, ...), output (batch, classes).
        data: Samples; only the training and validation splits are used.
        training: Everything else: batch size, optimizer, warm-up, regularisation, augmentation, averaging, patience,
            precision, devices.
        epochs: Passes over the training samples; 0 leaves the model as it is.
        learning_rate: Peak rate.
        schedule: Course of the learning rate, and of the momentum where it moves that too.
        seed: Seed of shuffling, augmentation and dropout.
        progress: Receives an event at least twice a second.
        label: What to call this work in progress events.
        callbacks: Further tf_keras callbacks, called before edgepack's own.
        best_from_epoch: First epoch whose weights may be kept.
        lesson: Teachers, if the model is to learn from any; the entries of the curve then have ``distillation_loss``.
        checkpoint: Folder where each finished epoch is kept; training goes on from what is there. None = neither.
        rate_factors: What the learning rate is multiplied by, by the layer's name; None = 1 for all.

    Raises:
        RecipeError: Model, data and training do not go together.
        DeviceError: A machine that trains along is gone.
    """
    check_fits(model, data)
    if epochs == 0:
        return Fitted((), 0)
    strategy = distribution.strategy(training.distribution)
    replicas = distribution.replicas(strategy, training)
    span = span_of(data, training, epochs, replicas=replicas)
    outputs = int(model.outputs[0].shape[-1])
    rate = course.rate(schedule, learning_rate, span, warmup_epochs=training.warmup_epochs, scaling=training.scaling)
    momentum = course.momentum(schedule, span)
    steps = range(span.steps)
    with distribution.explained(training.distribution), _scope(strategy):
        taught = learner(model, training, strategy)
        trained = taught if lesson is None else student(taught, lesson, probabilities=ends_with_softmax)
        if training.l1 or training.l2:
            trained = _penalised(taught, trained, training.l1, training.l2)
        compile_model(
            trained,
            training,
            [rate(s) for s in steps],
            [momentum(s) for s in steps] if momentum else None,
            None if rate_factors is None else by_variable(taught, rate_factors),
        )
        averaged = between.averaging(taught, training.averaging) if training.averaging else None
        best = between.best_weights(_validated(taught, averaged), best_from_epoch)
        first, keeper = 0, []
        curve = between.curve(training.patience)
        if checkpoint is not None:
            state = checkpoints.State(trained, curve, best, averaged)
            first, saver = checkpoints.resume(checkpoint, state, lambda found: distribution.agree(strategy, found))
            keeper.append(saver)
        batches = training_batches(
            data, training, seed=seed, outputs=outputs, span=span, first_epoch=first, replicas=replicas
        )
        validation = evaluation_batches(data, "validation", outputs=outputs if training.mixup else None)
        if strategy is None:
            batches, curve.waiting = timed(batches)
        else:
            batches, validation = distribution.spread(batches), distribution.spread(validation)
        if first < epochs and not curve.ended:
            own = [*([averaged] if averaged else []), curve, best, *keeper, between.reporter(progress, label, span)]
            with seeded(taught, seed, trained.optimizer.iterations):
                trained.fit(
                    batches,
                    validation_data=validation,
                    steps_per_epoch=span.steps_per_epoch,
                    initial_epoch=first,
                    epochs=epochs,
                    verbose=0,
                    callbacks=[*([] if taught is model else [between.put_back(taught, model)]), *callbacks, *own],
                )
    if best.weights is not None:
        model.set_weights(best.weights)
    elif taught is not model:
        model.set_weights(taught.get_weights())
    return Fitted(tuple(curve.entries), best.epoch + 1, curve.data_wait)


def evaluate(model: Any, data: Dataset) -> dict[str, float]:
    """Loss and accuracy of a compiled or uncompiled classifier on the validation split."""
    model.compile(loss=_loss(0.0, logits=not ends_with_softmax(model)), metrics=["accuracy"])
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
            fix="give the model one output per class (model.new_head does), or correct data.labels",
        )


def compile_model(
    model: Any,
    training: Training,
    rates: Sequence[float],
    momenta: Sequence[float] | None = None,
    factors: Mapping[str, float] | None = None,
) -> None:
    """Compile for sparse integer labels; logits are recognised by the absence of a final softmax.

    Args:
        model: tf_keras classifier.
        training: Optimizer, loss, precision.
        rates: Learning rate of each step.
        momenta: Momentum of each step; None = the optimizer's own.
        factors: Of the learning rate, as `rates.by_variable` gives them; None = 1 for all.
    """
    loss = _loss(training.label_smoothing, logits=not ends_with_softmax(model), shares=bool(training.mixup))
    model.compile(
        optimizers.make(training, rates, momenta, factors),
        loss,
        metrics=["accuracy"],
        jit_compile=training.xla or None,
        steps_per_execution=training.steps_per_execution,
    )


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


def _validated(model: Any, averaged: Any) -> Any:
    """A function that gives the weights that validation sees."""
    if averaged is None:
        return model.get_weights
    return lambda: [average.numpy() for average in averaged.averages]


def _scope(strategy: Any) -> Any:
    return nullcontext() if strategy is None else strategy.scope()


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
