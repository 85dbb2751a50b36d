"""What does a student learn from a teacher: the configuration, and the loss that is minimised?

Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 1503.02531; hints: Romero et al., "FitNets",
1412.6550.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Discriminator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, Tag, model_validator

from edgepack.config import Config
from edgepack.errors import RecipeError
from edgepack.models import zoo
from edgepack.suggest import did_you_mean
from edgepack.training.course import AnySchedule

SMALLEST = 1e-30
"""Probabilities are no smaller than this before their logarithm is taken."""

WRAPPERS = ("", "quant_", "prune_low_magnitude_", "cluster_")
"""What TFMOT puts before the name of a layer that it wraps."""


class ZooTeacher(zoo.Architecture):
    """A teacher that is trained first, on the same data, with the recipe's batch size, optimizer and augmentation."""

    epochs: PositiveInt = Field(10, description="training epochs of the teacher")
    learning_rate: PositiveFloat | None = Field(None, le=10, description="peak; absent = that of `training`")
    schedule: AnySchedule | None = Field(None, description="absent = that of `training`")
    label_smoothing: NonNegativeFloat = Field(0.0, lt=1, description="as in `training`; it makes worse teachers")


class Hint(Config):
    """A layer of the student that is to give what a layer of the teacher gives."""

    student: str = Field(description="name of the student's layer")
    teacher: str = Field(description="name of the teacher's layer")
    weight: PositiveFloat = Field(1.0, description="factor of the mean squared difference in the loss")


def _kind(value: Any) -> str:
    # Named like pydantic's own validators, which errors leave out of the key that they speak of.
    return f"function-{'file' if isinstance(value, str) else 'several' if isinstance(value, list | tuple) else 'zoo'}"


One = Annotated[str, Tag("function-file")] | Annotated[ZooTeacher, Tag("function-zoo")]
Several = Annotated[tuple[Annotated[One, Discriminator(_kind)], ...], Field(min_length=1), Tag("function-several")]


class Distillation(Config):
    """A teacher, and how much of the student's loss comes from it."""

    temperature: PositiveFloat = Field(2.0, le=100, description="both outputs are softened by this (1503.02531)")
    weight: NonNegativeFloat = Field(0.5, le=1, description="share of the teacher in the loss, as a fraction")
    teacher: Annotated[One | Several, Discriminator(_kind)] | None = Field(
        None,
        description="a model file, a zoo model that is trained first, or a list of these whose probabilities are "
        "averaged; absent = the trained float model",
    )
    hints: tuple[Hint, ...] = Field((), description="pairs of layers whose outputs are brought together (1412.6550)")

    @model_validator(mode="after")
    def _hints_have_one_teacher(self) -> "Distillation":
        if self.hints and isinstance(self.teacher, tuple):
            raise ValueError("hints need one teacher, not a list of them")
        return self

    @property
    def teachers(self) -> tuple[str | ZooTeacher, ...]:
        """The teachers as a list; empty = the trained float model."""
        if self.teacher is None:
            return ()
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)


@dataclass(frozen=True)
class Lesson:
    """What `edgepack.training.fit.fit` needs to train a student.

    Attributes:
        teachers: tf_keras classifiers with the student's input and number of outputs; left as they are.
        temperature: Divides the logits of both sides.
        weight: Share of the teacher in the loss, in [0, 1].
        hints: Pairs of layers; only with a single teacher.
        seed: Seed of the projections of hints.
    """

    teachers: Sequence[Any]
    temperature: float
    weight: float
    hints: Sequence[Hint] = ()
    seed: int = 0


def teaching_loss(soft_targets: Any, logits: Any, temperature: float) -> Any:
    """``T^2 * KL(soft_targets || softmax(logits / T))`` of each sample: float32 of shape (batch,).

    The factor keeps the size of the gradients when the temperature changes (1503.02531, section 2).

    Args:
        soft_targets: Probabilities at temperature T, (batch, classes).
        logits: The student's, at temperature 1, (batch, classes).
        temperature: T.
    """
    import tensorflow as tf

    log_student = tf.nn.log_softmax(logits / temperature)
    divergence = tf.math.xlogy(soft_targets, soft_targets) - soft_targets * log_student
    return temperature**2 * tf.reduce_sum(divergence, axis=-1)


def soft_targets(outputs: Sequence[Any], temperature: float) -> Any:
    """Mean of the teachers' probabilities at a temperature: float32 of shape (batch, classes).

    Args:
        outputs: Logits of each teacher, (batch, classes).
        temperature: Divides the logits.
    """
    import tensorflow as tf

    return tf.add_n([tf.nn.softmax(logits / temperature) for logits in outputs]) / len(outputs)


def logits_of(outputs: Any, *, probabilities: bool) -> Any:
    """The logits behind a classifier's outputs, up to a constant for each sample, which no softmax sees.

    Inside a traced function the input of the softmax is taken, as Keras' own cross-entropy does, also from behind fake
    quantisation: that rounds probabilities to steps of 1/256, and most of what a teacher has to say is smaller.
    Elsewhere the logarithm is taken, which is exact down to 1e-30.

    Args:
        outputs: (batch, classes).
        probabilities: False when they are logits already.
    """
    import tensorflow as tf

    if not probabilities:
        return outputs
    operation = None if tf.executing_eagerly() else outputs.op
    while operation is not None and operation.type.startswith(("FakeQuant", "Identity")):
        operation = operation.inputs[0].op
    if operation is not None and operation.type == "Softmax":
        return operation.inputs[0]
    return tf.math.log(tf.maximum(outputs, SMALLEST))


def student(model: Any, lesson: Lesson, *, probabilities: Callable[[Any], bool]) -> Any:
    """A model of the same layers whose training step minimises the paper's loss; everything else is Keras' own.

    ``(1 - weight) * cross-entropy(labels) + weight * T^2 * KL(teacher || student)``, plus, for each hint, its weight
    times the mean squared difference. The teacher sees the same augmented batch. History and progress show the
    cross-entropy of the labels as ``loss``, comparable with ``val_loss``, and the rest as ``distillation_loss``.

    Args:
        model: The student; its layers are shared, so that training changes it.
        lesson: Teachers and weights.
        probabilities: Tells whether a model ends with a softmax.
    """
    import tensorflow as tf
    import tf_keras

    features, targets, projections = _hints(model, lesson)
    softmax = probabilities(model)
    teachers_softmax = [probabilities(teacher) for teacher in lesson.teachers]

    tracker = tf_keras.metrics.Mean(name="distillation_loss")

    def teach(x: Any) -> tuple[Any, list[Any]]:
        """Soft targets and the teacher's hint tensors for one batch."""
        given = [tf.nest.flatten(target(x, training=False)) for target in targets]
        logits = [
            logits_of(outputs[0], probabilities=ends) for outputs, ends in zip(given, teachers_softmax, strict=True)
        ]
        wanted = given[0][1:] if lesson.hints else []
        return tf.stop_gradient(soft_targets(logits, lesson.temperature)), [tf.stop_gradient(w) for w in wanted]

    class Student(tf_keras.Model):  # type: ignore[misc] # tf_keras has no type information
        @property
        def metrics(self) -> list[Any]:
            return [*super().metrics, tracker]

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y, sample_weight = tf_keras.utils.unpack_x_y_sample_weight(batch)
            targets, wanted = teach(x)
            with tf.GradientTape() as tape:
                outputs, *given = tf.nest.flatten(features(x, training=True))
                taught = teaching_loss(targets, logits_of(outputs, probabilities=softmax), lesson.temperature)
                extra = lesson.weight * tf.reduce_mean(taught)
                for hint, projection, mine, theirs in zip(lesson.hints, projections, given, wanted, strict=True):
                    extra += hint.weight * tf.reduce_mean(tf.math.squared_difference(projection(mine), theirs))
                labels = self.compiled_loss(y, outputs, sample_weight)
                total = (1 - lesson.weight) * labels + extra
                total = tf.add_n([total, *self.losses])
            self.optimizer.minimize(total, self.trainable_variables, tape=tape)
            tracker.update_state(extra)
            metrics: dict[str, Any] = self.compute_metrics(x, y, outputs, sample_weight)
            return metrics

    made = Student(model.inputs, model.outputs[0], name=model.name)
    made.projections = projections  # trained along, and part of its checkpoints
    return made


def _hints(model: Any, lesson: Lesson) -> tuple[Any, list[Any], list[Any]]:
    """The student with its hint layers as further outputs, the teachers likewise, and a projection for each hint.

    Raises:
        RecipeError: A hint names an unknown layer, or one whose output has another shape than the teacher's.
    """
    import tf_keras

    mine = [_layer(model, hint.student, "student").output for hint in lesson.hints]
    theirs = [_layer(lesson.teachers[0], hint.teacher, "teacher").output for hint in lesson.hints]
    projections = []
    for index, (hint, tensor, wanted) in enumerate(zip(lesson.hints, mine, theirs, strict=True)):
        if len(tensor.shape) != len(wanted.shape) or tuple(tensor.shape[1:-1]) != tuple(wanted.shape[1:-1]):
            raise RecipeError(
                f"distill.hints: the student's layer {hint.student!r} gives {tuple(tensor.shape[1:])}, the teacher's "
                f"{hint.teacher!r} {tuple(wanted.shape[1:])}; expected the same but for the last axis",
                fix="choose layers at the same resolution",
            )
        if tensor.shape[-1] == wanted.shape[-1]:
            projections.append(tf_keras.layers.Activation("linear"))
            continue
        # On the last axis only: for images this is the 1x1 convolution that stands in for FitNets' regressor.
        start = tf_keras.initializers.GlorotUniform(seed=lesson.seed + index)
        projection = tf_keras.layers.Dense(wanted.shape[-1], use_bias=False, kernel_initializer=start)
        projection.build(tensor.shape)
        projections.append(projection)
    targets = [
        tf_keras.Model(teacher.inputs, [teacher.outputs[0], *(theirs if index == 0 else [])])
        for index, teacher in enumerate(lesson.teachers)
    ]
    return tf_keras.Model(model.inputs, [model.outputs[0], *mine]), targets, projections


def _layer(model: Any, name: str, whose: str) -> Any:
    layers = {layer.name: layer for layer in model.layers}
    for prefix in WRAPPERS:
        if prefix + name in layers:
            return layers[prefix + name]
    raise RecipeError(
        f"distill.hints: the {whose} has no layer {name!r}; its layers are: {', '.join(layers)}",
        fix=did_you_mean(name, list(layers)) or "use one of the names above",
    )
