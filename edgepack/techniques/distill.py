"""How does a small model learn more than its labels say: from the outputs of a better one?

Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 1503.02531.
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from edgepack import contracts
from edgepack.contracts import TechniqueContext, TechniqueResult
from edgepack.schedules import cosine
from edgepack.techniques._training import TrainedConfig, identity, train
from edgepack.training.course import AnySchedule
from edgepack.training.distillation import Distillation

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

__all__ = ["Config", "apply", "identity"]


class _Named(contracts.TechniqueConfig):
    """Makes ``use`` the first key."""

    use: str = ""


class Config(Distillation, _Named):
    """Trains the model on with a teacher; other steps that train take one by their key ``distill``."""

    use: Literal["distill"] = "distill"
    epochs: PositiveInt = Field(10, description="training epochs of this step")
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="peak learning rate")
    schedule: AnySchedule = Field(
        default_factory=cosine.Config, description="course of the learning rate over all steps"
    )


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Train a copy of a float tf_keras model on with a teacher; zeros and clusters of earlier steps stay.

    Raises:
        RecipeError: The model is fake-quantised already, is its own teacher, or the teacher does not fit.
        MissingError: The teacher's file is not there.
    """
    import tf_keras

    from edgepack.techniques._layers import passed_through, refuse_quantised
    from edgepack.training.fit import evaluate

    refuse_quantised(model, "distill")
    if not config.teachers and context.float_model is not None:
        _refuse_own_teacher(model, context)
    student = tf_keras.models.clone_model(model)
    student.set_weights(model.get_weights())
    settings = TrainedConfig(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        distill=Distillation(**{key: getattr(config, key) for key in Distillation.model_fields}),
    )
    trained = train(student, data, settings, context, label="distill", schedule=config.schedule)
    after = trained.kept or evaluate(student, data)
    reasons = {
        layer.name: "trained with the teacher" if layer.trainable_weights else "no weights to train"
        for layer in student.layers
    }
    return TechniqueResult(
        model=student,
        quantised=False,
        layers=passed_through(student, reasons),
        metrics={**trained.metrics, "val_accuracy_after": after["val_accuracy"]},
        curve=trained.curve,
        warnings=trained.warnings,
    )


def _refuse_own_teacher(model: Any, context: TechniqueContext) -> None:
    import numpy as np

    from edgepack.errors import RecipeError
    from edgepack.keras_models.load import load_own

    assert context.float_model is not None
    teacher = load_own(context.float_model).get_weights()
    mine = model.get_weights()
    if len(mine) == len(teacher) and all(map(np.array_equal, mine, teacher)):
        raise RecipeError(
            "compress: `use: distill` has no teacher: without the key `teacher` it is the trained float model, which "
            "is the student itself",
            fix="set `teacher` to a model file or to a wider zoo model",
        )
