"""How is a model trained?"""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from edgepack.config import Config
from edgepack.schedules import constant
from edgepack.training.course import AnySchedule


class Augment(Config):
    """Random changes to training images; never applied to validation, calibration or test samples."""

    flip: bool = Field(False, description="mirror left-right with probability 1/2")
    shift: NonNegativeInt = Field(
        0, le=64, description="largest shift in pixels, both axes; edges are filled with zeros"
    )


class Training(Config):
    """Training of the float model; compression steps inherit batch size and augmentation from here."""

    epochs: NonNegativeInt | None = Field(None, description="absent = 10 for a new model, 0 for a `file:` model")
    batch_size: PositiveInt = Field(64, description="samples per step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="sgd has Nesterov momentum 0.9")
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="peak learning rate")
    schedule: AnySchedule = Field(
        default_factory=constant.Config, description="course of the learning rate over all steps: a name, or its keys"
    )
    reference_batch_size: PositiveInt | None = Field(
        None,
        description="batch size that learning_rate is meant for: it is scaled to the real one (1706.02677)",
    )
    warmup_epochs: NonNegativeFloat = Field(
        0.0, description="epochs over which the rate grows to its course (1706.02677)"
    )
    weight_decay: NonNegativeFloat = Field(0.0, lt=1, description="decoupled weight decay (1711.05101)")
    label_smoothing: NonNegativeFloat = Field(
        0.0, lt=1, description="share of each label spread evenly over all classes (1512.00567)"
    )
    l1: NonNegativeFloat = Field(0.0, lt=1, description="times the sum of absolute kernel weights, in the loss")
    l2: NonNegativeFloat = Field(0.0, lt=1, description="times the sum of squared kernel weights, in the loss")
    clip_norm: PositiveFloat | None = Field(
        None, description="gradients with a larger norm, all taken together, are scaled down to it (1211.5063)"
    )
    mixup: NonNegativeFloat = Field(
        0.0, le=10, description="pairs of samples are mixed by shares from Beta(this, this) (1710.09412); 0 = off"
    )
    averaging: NonNegativeFloat = Field(
        0.0,
        lt=1,
        description="share of a moving average of the weights that each step keeps, e.g. 0.999; the average is "
        "validated and kept; 0 = off",
    )
    patience: PositiveInt | None = Field(
        None, description="training ends after so many epochs without a better validation accuracy"
    )
    augment: Augment = Field(default_factory=Augment)

    def for_steps(self) -> "Training":
        """What compression steps take over: everything but warm-up, averaging and an early end.

        An average of weights would undo the zeros of pruning, and the schedules of pruning must come to their end.
        """
        return self.model_copy(
            update={"warmup_epochs": 0.0, "reference_batch_size": None, "averaging": 0.0, "patience": None}
        )

    @property
    def scaling(self) -> float:
        """By how much ``learning_rate`` grows with the batch size."""
        return self.batch_size / (self.reference_batch_size or self.batch_size)
