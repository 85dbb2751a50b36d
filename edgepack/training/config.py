"""How is a model trained?"""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from edgepack.config import Config
from edgepack.schedules import constant
from edgepack.training.course import AnySchedule
from edgepack.training.unfreezing import Transfer


class Augment(Config):
    """Random changes to training images; never applied to validation, calibration or test samples."""

    flip: bool = Field(False, description="mirror left-right with probability 1/2")
    shift: NonNegativeInt = Field(
        0, le=64, description="largest shift in pixels, both axes; edges are filled with zeros"
    )
    rotation: NonNegativeFloat = Field(0.0, le=180, description="largest rotation, degrees, either way")
    zoom: NonNegativeFloat = Field(0.0, lt=1, description="largest change of the size, as a fraction, either way")
    contrast: NonNegativeFloat = Field(0.0, lt=1, description="largest change of the contrast, as a fraction")
    edges: Literal["zeros", "nearest", "reflect"] = Field(
        "zeros", description="what rotation and zoom find beyond the edges"
    )
    cutout: NonNegativeInt = Field(
        0, description="side of a square of zeros on each image, pixels (1708.04552); 0 = none"
    )


class BatchNormalization(Config):
    """How BatchNormalization layers take their statistics while the model is trained."""

    momentum: PositiveFloat | None = Field(
        None, lt=1, description="share of the moving statistics that each step keeps; absent = as the layers have it"
    )
    synchronized: bool = Field(
        True, description="replicas share the statistics of a batch, as one device would; false = each has its own"
    )


class Distribution(Config):
    """Several devices, or several machines, train one model together; each step has one batch for all of them."""

    strategy: Literal["mirrored", "multi_worker"] = Field(
        description="mirrored = devices of this machine; multi_worker = machines that TF_CONFIG lists"
    )
    devices: PositiveInt | None = Field(
        None, description="devices of each machine; absent = every GPU, or the CPU; without a GPU the CPU is divided"
    )
    timeout_s: PositiveInt = Field(300, description="how long machines wait for each other at the start, seconds")


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
    keep: Literal["best", "last"] = Field(
        "best",
        description="weights of which epoch are kept: that of the best validation accuracy, or the last one, where a "
        "schedule that ends at a rate near 0 has made it the best but for the noise of few validation samples",
    )
    augment: Augment = Field(default_factory=Augment)
    transfer: Transfer | None = Field(
        None, description="how a model with start weights is trained; absent = all layers at once, at one rate"
    )
    batch_normalization: BatchNormalization = Field(
        default_factory=BatchNormalization, description="momentum, and statistics of several replicas"
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32", description="what layers compute in; weights and files are float32 in any case (1710.03740)"
    )
    xla: bool = Field(False, description="compile the training step with XLA")
    steps_per_execution: PositiveInt = Field(1, description="steps that run before Python is asked again")
    distribution: Distribution | None = Field(None, description="several devices or machines; absent = one device")

    @model_validator(mode="after")
    def _goes_together(self) -> "Training":
        if self.averaging and self.steps_per_execution > 1:
            raise ValueError(
                f"averaging ({self.averaging}) needs every step, steps_per_execution ({self.steps_per_execution}) "
                "skips some: leave one of them out"
            )
        if self.keep == "last" and self.patience:
            raise ValueError(
                f"keep: last keeps the end of the course, which patience ({self.patience}) may cut off: leave one out"
            )
        if self.averaging and self.distribution:
            raise ValueError(f"averaging ({self.averaging}) is not there for several devices: leave one of them out")
        return self

    def for_steps(self) -> "Training":
        """What compression steps take over: everything but warm-up, averaging, an early end, phases, 16-bit numbers.

        An average of weights would undo the zeros of pruning, the schedules of pruning must come to their end and see
        every step, and fake quantisation rounds to steps that 16 bits do not tell apart.
        """
        return self.model_copy(
            update={
                "warmup_epochs": 0.0,
                "reference_batch_size": None,
                "averaging": 0.0,
                "patience": None,
                "transfer": None,
                "precision": "float32",
                "steps_per_execution": 1,
            }
        )

    @property
    def scaling(self) -> float:
        """By how much ``learning_rate`` grows with the batch size."""
        return self.batch_size / (self.reference_batch_size or self.batch_size)
