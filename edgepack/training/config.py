"""How is a model trained?"""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from edgepack.config import Config


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
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "constant", description="course of the learning rate over all steps"
    )
    weight_decay: NonNegativeFloat = Field(0.0, lt=1, description="decoupled weight decay (1711.05101)")
    label_smoothing: NonNegativeFloat = Field(
        0.0, lt=1, description="share of each label spread evenly over all classes (1512.00567)"
    )
    augment: Augment = Field(default_factory=Augment)
