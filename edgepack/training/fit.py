"""How is a model fitted so that the same seed gives the same weights?"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

from edgepack import extensions
from edgepack.contracts import Progress, ScheduleConfig, Task
from edgepack.dataset import Dataset, preprocess
from edgepack.errors import RecipeError
from edgepack.runner import tasks as judges
from edgepack.training import callbacks as between
from edgepack.training import checkpoints, course, distribution, optimizers, tensorboard
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
    place: checkpoints.Place = checkpoints.NOWHERE,
    rate_factors: Mapping[str, float] | None = None,
) -> Fitted:
    """Fit a tf_keras model in place and leave it with its best weights.

    "Best" is the highest validation accuracy, or whatever else the task's figure of merit is, then the lowest
    validation loss, from epoch ``best_from_epoch`` on (0-based): a pruning step must not fall back to weights from
    before its final sparsity. Where ``training.keep`` is ``last`` it is the last epoch in any case.

    Args:
        model: tf_keras model; input float32 (batch, ...), output (batch, ...) as the task wants it.
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
        place: Where finished epochs are kept, from which training goes on, and where its log is written.
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
    momenta = [momentum(step) for step in range(span.steps)] if momentum else None
    with distribution.explained(training.distribution), _scope(strategy):
        taught = learner(model, training, strategy)
        trained = _extended(taught, training, lesson)
        factors = None if rate_factors is None else by_variable(taught, rate_factors)
        compile_model(trained, data.task, training, [rate(step) for step in range(span.steps)], momenta, factors)
        averaged = between.averaging(taught, training.averaging) if training.averaging else None
        from_epoch = epochs - 1 if training.keep == "last" else best_from_epoch
        best = between.best_weights(_validated(taught, averaged), from_epoch)
        curve = between.curve(training.patience)
        first, keepers = _kept(place, checkpoints.State(trained, curve, best, averaged), strategy)
        batches = training_batches(
            data, training, seed=seed, outputs=outputs, span=span, first_epoch=first, replicas=replicas
        )
        validation = evaluation_batches(data, "validation", outputs=outputs if training.mixup else None)
        trained.optimizer.build(trained.trainable_variables)
        _make_metrics(trained, taught.outputs, batches)
        if strategy is None:
            batches, curve.waiting = timed(batches)
        else:
            batches, validation = distribution.spread(batches), distribution.spread(validation)
        if first < epochs and not curve.ended:
            told = between.reporter(progress, label, span, judges.load(data.task).METRIC.replace("_", " "))
            own = [*([averaged] if averaged else []), curve, best, *keepers, told]
            with seeded(taught, seed, trained.optimizer.iterations):
                trained.fit(
                    batches,
                    validation_data=validation,
                    steps_per_epoch=span.steps_per_epoch,
                    initial_epoch=first,
                    epochs=epochs,
                    verbose=0,
                    callbacks=[*_in_front(model, taught, data), *callbacks, *own],
                )
    if best.weights is not None:
        model.set_weights(best.weights)
    elif taught is not model:
        model.set_weights(taught.get_weights())
    return Fitted(tuple(curve.entries), best.epoch + 1, curve.data_wait)


def _extended(taught: Any, training: Training, lesson: Lesson | None) -> Any:
    """The model with what its loss has besides the labels: teachers, penalties on kernels."""
    trained = taught if lesson is None else student(taught, lesson, probabilities=ends_with_softmax)
    return _penalised(taught, trained, training.l1, training.l2) if training.l1 or training.l2 else trained


def _kept(place: checkpoints.Place, state: checkpoints.State, strategy: Any) -> tuple[int, list[Any]]:
    """How many epochs are done already, and callbacks that keep the others and their figures."""
    done, keepers = 0, []
    if place.checkpoint is not None:
        done, saver = checkpoints.resume(place.checkpoint, state, lambda found: distribution.agree(strategy, found))
        keepers.append(saver)
    if place.log is not None:
        keepers.append(tensorboard.log(place.log, state.curve))
    return done, keepers


def _in_front(model: Any, taught: Any, data: Dataset) -> list[Any]:
    """Callbacks that come before all others: they see to what the others look at."""
    judged = [] if _task(data).METRICS else [between.judge(lambda: figure_of_merit(model, data, taught))]
    return [*judged, *([] if taught is model else [between.put_back(taught, model)])]


def evaluate(model: Any, data: Dataset) -> dict[str, float]:
    """Loss and figure of merit, called accuracy, of a compiled or uncompiled model on the validation split."""
    task = _task(data)
    model.compile(loss=task.loss(model, Training()), metrics=list(task.METRICS))
    batches = evaluation_batches(data, "validation")
    _make_metrics(model, model.outputs, batches)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    accuracy = found["accuracy"] if "accuracy" in found else figure_of_merit(model, data)
    return {"val_loss": float(found["loss"]), "val_accuracy": float(accuracy)}


def figure_of_merit(model: Any, data: Dataset, trained: Any = None) -> float:
    """What the task's judge says of a model's outputs for the validation split, in [0, 1]; higher is better.

    Args:
        model: tf_keras model.
        data: Samples.
        trained: A copy of the model whose weights it gets before; None = it has them.
    """
    import numpy as np

    if trained is not None and trained is not model:
        model.set_weights(trained.get_weights())
    x = data.inputs("validation")
    # Called and not told to predict: that would not do inside the training of a copy on several devices.
    parts = [np.asarray(model(x[start : start + 512], training=False)) for start in range(0, len(x), 512)]
    return judges.load(data.task).figure(np.concatenate(parts), x, data.targets("validation"))


def check_fits(model: Any, data: Dataset) -> None:
    """Compare a model's input and output with the data.

    Raises:
        RecipeError: Several inputs or outputs, another input shape, outputs that are no answers to the task.
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
    _task(data).check_outputs(model.name, tuple(model.outputs[0].shape[1:]), data)


def compile_model(
    model: Any,
    task: str,
    training: Training,
    rates: Sequence[float],
    momenta: Sequence[float] | None = None,
    factors: Mapping[str, float] | None = None,
) -> None:
    """Compile for the targets of a task.

    Args:
        model: tf_keras model.
        task: Says which loss and which metrics.
        training: Optimizer, loss, precision.
        rates: Learning rate of each step.
        momenta: Momentum of each step; None = the optimizer's own.
        factors: Of the learning rate, as `rates.by_variable` gives them; None = 1 for all.
    """
    module = extensions.load("edgepack.tasks", task)
    model.compile(
        optimizers.make(training, rates, momenta, factors),
        module.loss(model, training),
        metrics=list(module.METRICS),
        jit_compile=training.xla or None,
        steps_per_execution=training.steps_per_execution,
    )


def _make_metrics(model: Any, outputs: Sequence[Any], batches: Any) -> None:
    """Let a compiled model make its metrics before the first step: a step that makes variables is traced twice.

    As much holds for the optimizer's variables. See
    https://www.tensorflow.org/guide/function#creating_tfvariables.

    Args:
        model: tf_keras model.
        outputs: What it answers, as symbolic tensors (batch, ...).
        batches: `tf.data.Dataset` of inputs and targets.
    """
    import tensorflow as tf

    if not model.compiled_metrics.built:
        targets = batches.element_spec[1]
        answer, target = (tf.zeros([1, *of.shape[1:]], of.dtype) for of in (outputs[0], targets))
        model.compiled_metrics.build(answer, target)


def _task(data: Dataset) -> Task:
    return cast("Task", extensions.load("edgepack.tasks", data.task))


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
    """Model outputs of a split: float32 of shape (n, ...)."""
    import numpy as np

    samples = getattr(data, split)
    x = preprocess(samples.x[:limit], data.preprocessing)
    return np.asarray(model.predict(x, batch_size=512, verbose=0), dtype=np.float32)
