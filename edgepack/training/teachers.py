"""Which models teach, are they fit to, and what should the person who runs the recipe know about them?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack import userfiles
from edgepack.contracts import TechniqueContext
from edgepack.errors import RecipeError
from edgepack.models import zoo
from edgepack.training.distillation import SMALLEST, Distillation, Lesson, ZooTeacher

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

SMOOTHED = (
    "{who} was trained with label smoothing{how}: a smoothed teacher makes a worse student "
    "(1906.02629: the student's error on MNIST went from 0.74 % to 0.91 %); train the teacher without"
)

MEASURED_SAMPLES = 2000
LEAST_CLASSES = 4
LEAST_ACCURACY = 0.7
SMOOTHING = (0.01, 0.3)
LEAST_FLATNESS = 0.2
"""Measured on digits and on Fashion-MNIST: 0.23 to 0.95 with smoothing of 0.05 to 0.2; without it below 0.08, and 0.17
for a model that has seen its samples twice."""


@dataclass(frozen=True)
class Prepared:
    """Teachers ready to teach.

    Attributes:
        lesson: For `edgepack.training.fit.fit`.
        val_accuracy: Validation accuracy of the teachers' mean probabilities, as a fraction.
        warnings: Sentences for the person who runs the recipe.
    """

    lesson: Lesson
    val_accuracy: float
    warnings: tuple[str, ...]


def prepare(config: Distillation, student: Any, data: "Dataset", context: TechniqueContext) -> Prepared:
    """Load or train the teachers of a step.

    Args:
        config: Teachers, temperature, weight, hints.
        student: The tf_keras model that will be taught.
        data: Samples; a zoo teacher is trained on them.
        context: Paths, seed and training section.

    Raises:
        RecipeError: A teacher does not fit the data or the student.
        MissingError: A teacher's file is not there.
    """
    models, warnings = [], []
    for index, teacher in enumerate(config.teachers or (None,)):
        if isinstance(teacher, ZooTeacher):
            model, smoothing = _trained(teacher, data, context, index=index), teacher.label_smoothing
            who = f"the teacher {teacher.zoo!r}"
        else:
            path = _file(teacher, context)
            who = f"the teacher {path.name!r}" if teacher else "the teacher, the float model,"
            model = _load(path, given=teacher is not None)
            recorded = teacher is None and context.training.epochs
            smoothing = context.training.label_smoothing if recorded else 0.0
            if not recorded and (measured := smoothing_of(model, data)):
                warnings.append(SMOOTHED.format(who=who, how=f" of about {measured:.2f}, to judge by its outputs"))
        if smoothing:
            warnings.append(SMOOTHED.format(who=who, how=f" of {smoothing:g}"))
        _check(model, student, data, who)
        models.append(model)
    lesson = Lesson(models, config.temperature, config.weight, config.hints, context.seed)
    return Prepared(lesson, _accuracy(models, data), tuple(warnings))


def smoothing_of(model: Any, data: "Dataset") -> float | None:
    """Estimate the label smoothing that a classifier was trained with from its outputs on training samples.

    Smoothing e over K classes drives each wrong class of each sample towards the same probability, e / K. Without it
    there is no such value: wrong classes differ by orders of magnitude. So the geometric mean of their probabilities is
    compared with the arithmetic one, over the surer half of the samples that are classified correctly.

    Args:
        model: tf_keras classifier.
        data: The samples, best those that it was trained on.

    Returns:
        The estimate, or None where nothing points to smoothing, or where it cannot be told: fewer than 4 classes, or a
        model that is still too unsure.
    """
    import numpy as np

    from edgepack.training.fit import ends_with_softmax

    x, y = data.inputs("train", MEASURED_SAMPLES), data.targets("train", MEASURED_SAMPLES)
    outputs = model.predict(x, batch_size=512, verbose=0)
    probabilities = outputs if ends_with_softmax(model) else _softmax(outputs)
    classes = probabilities.shape[1]
    correct = np.sort(probabilities[probabilities.argmax(axis=1) == y], axis=1).astype(np.float64)
    if classes < LEAST_CLASSES or len(correct) < LEAST_ACCURACY * len(y):
        return None
    wrong = correct[correct[:, -1] >= np.median(correct[:, -1]), :-1]
    mean = float(wrong.mean())
    flatness = float(np.exp(np.log(np.maximum(wrong, SMALLEST)).mean())) / max(mean, SMALLEST)
    smoothing = mean * classes
    return smoothing if SMOOTHING[0] <= smoothing <= SMOOTHING[1] and flatness >= LEAST_FLATNESS else None


def _file(teacher: str | None, context: TechniqueContext) -> Path:
    if teacher is not None:
        return userfiles.find(teacher, context.base, what="distill.teacher")
    if context.float_model is None:
        raise RecipeError(
            "distill: no teacher is named, and there is no trained float model to take instead",
            fix="set `teacher` to a model file or to a zoo model",
        )
    return context.float_model


def _load(path: Path, *, given: bool) -> Any:
    from edgepack.keras_models.load import load, load_own

    return load(path) if given else load_own(path)


def _trained(teacher: ZooTeacher, data: "Dataset", context: TechniqueContext, *, index: int) -> Any:
    """Build a zoo model and train it, once for a step; the members of an ensemble differ by their seeds."""
    import tf_keras

    from edgepack.keras_models.table import feature_shape, with_columns
    from edgepack.training.fit import fit

    seed = context.seed + 1 + index
    key = f"teacher {seed} {teacher.model_dump_json()}"
    if key in context.made:
        return context.made[key]
    tf_keras.utils.set_random_seed(seed)
    model = zoo.build(teacher, context.base, input_shape=feature_shape(data), classes=data.classes)
    model = with_columns(model, data)
    fit(
        model,
        data,
        context.training.model_copy(update={"label_smoothing": teacher.label_smoothing}),
        epochs=1 if context.smoke else teacher.epochs,
        learning_rate=teacher.learning_rate or context.training.learning_rate,
        schedule=teacher.schedule or context.training.schedule,
        seed=seed,
        progress=context.progress,
        label=f"teacher {teacher.zoo}",
        place=context.places.next(f"teacher-{teacher.zoo}"),
    )
    tf_keras.utils.set_random_seed(context.seed)
    context.made[key] = model
    return model


def _check(model: Any, student: Any, data: "Dataset", who: str) -> None:
    from edgepack.keras_models.inspect import require_graph
    from edgepack.training.fit import check_fits

    try:
        require_graph(model)
        check_fits(model, data)
    except RecipeError as error:
        raise RecipeError(f"distill: {error.message}", fix=error.fix) from error
    given, wanted = model.outputs[0].shape[-1], student.outputs[0].shape[-1]
    if given != wanted:
        raise RecipeError(
            f"distill: {who} has {given} outputs, the student {wanted}; expected the same classes",
            fix="give a teacher that was trained on the same classes",
        )


def _accuracy(models: Sequence[Any], data: "Dataset") -> float:
    import numpy as np

    from edgepack.training.fit import ends_with_softmax, predict

    outputs = [predict(model, data, "validation") for model in models]
    each = [
        given if ends_with_softmax(model) else _softmax(given) for model, given in zip(models, outputs, strict=True)
    ]
    return float(np.mean(np.mean(each, axis=0).argmax(axis=1) == data.targets("validation")))


def _softmax(logits: Any) -> Any:
    import numpy as np

    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
