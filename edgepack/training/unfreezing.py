"""Which layers of a model with start weights learn when, and how fast?

Howard & Ruder, "Universal language model fine-tuning", 1801.06146: lower layers learn more slowly than those above
(discriminative fine-tuning, section 3.2), and begin later (gradual unfreezing, section 3.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from edgepack.config import Config
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean

ALL = "all"


class Stage(Config):
    """Training of a network from its top down to some layer."""

    down_to: int | float | str = Field(
        description="the lowest layer that is trained: the first whose name begins with this text; or how many of the "
        "layers with start weights, from the top, as a number from 1 on or as a fraction below 1; or `all`"
    )
    epochs: PositiveInt | None = Field(None, description="absent = an equal part of what the other phases leave")
    learning_rate: PositiveFloat | None = Field(None, le=10, description="peak; absent = that of `training`")

    @field_validator("down_to")
    @classmethod
    def _is_a_place(cls, value: int | float | str) -> int | float | str:
        wrong = value < 1 if isinstance(value, int) else isinstance(value, float) and not 0 < value < 1
        if wrong or value == "":
            raise ValueError("expected a layer's name, a number of layers, a fraction below 1, or `all`")
        return value


class Transfer(Config):
    """How a model that starts from the weights of another one is trained."""

    frozen_epochs: NonNegativeInt | None = Field(
        None, description="epochs in which only new layers are trained; absent = a quarter, without stages all of them"
    )
    stages: tuple[Stage, ...] = Field(
        (Stage(down_to=ALL),), description="how far down the network is trained after that, one stage after the other"
    )
    rate_divisor: PositiveFloat = Field(
        2.6, ge=1, description="what each stage unfreezes has the rate of what lies above, divided by this (1801.06146)"
    )
    batch_normalization: Literal["freeze", "train"] = Field(
        "freeze", description="layers with start weights: keep statistics and factors, or train them with the others"
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"down_to": item} if isinstance(item, int | float | str) else item for item in value]

    @model_validator(mode="after")
    def _stages_follow_something(self) -> "Transfer":
        if not self.stages and self.frozen_epochs == 0:
            raise ValueError("without stages and without frozen epochs nothing is trained")
        return self

    def epochs(self, total: int) -> tuple[int, ...]:
        """Epochs of the frozen phase and of each stage.

        Args:
            total: Epochs of the whole training, at least 1.

        Raises:
            RecipeError: The phases do not fit into the training, or do not fill it.
        """
        frozen = self.frozen_epochs
        if frozen is None:
            frozen = max(1, total // 4) if self.stages else total
        given = frozen + sum(stage.epochs or 0 for stage in self.stages)
        free = sum(stage.epochs is None for stage in self.stages)
        if given + free > total:
            raise RecipeError(
                f"training.transfer: {frozen} frozen epochs and {len(self.stages)} stages need {given + free} epochs "
                f"or more, but training.epochs is {total}",
                fix=f"set training.epochs to {given + free} or more, or frozen_epochs and stages to less",
            )
        if not free and given < total:
            raise RecipeError(
                f"training.transfer: the phases have {given} epochs together, but training.epochs is {total}",
                fix=f"set training.epochs to {given}, or leave out frozen_epochs or the epochs of a stage",
            )
        found, place = [frozen], 0
        for stage in self.stages:
            found.append(stage.epochs or (total - given) * (place + 1) // free - (total - given) * place // free)
            place += stage.epochs is None
        return tuple(found)


@dataclass(frozen=True)
class Phase:
    """One stretch of the training.

    Attributes:
        name: What it is called in the curve and in progress events.
        epochs: How long it is.
        learning_rate: Its peak, or None for that of the training.
        layers: What is trained, with the factor of the learning rate of each layer.
    """

    name: str
    epochs: int
    learning_rate: float | None
    layers: dict[str, float]


def phases(transfer: Transfer, layers: Sequence[str], new: Sequence[str], *, epochs: Sequence[int]) -> list[Phase]:
    """Say for each phase which layers are trained, and how fast.

    Args:
        transfer: Stages and divisor.
        layers: Layers with start weights, from the input on.
        new: Layers that learn from the beginning: the head, and what has no start weights.
        epochs: Of the frozen phase and of each stage, as `Transfer.epochs` says.

    Raises:
        RecipeError: A stage names no layer, or reaches no lower than those before it.
    """
    trained = dict.fromkeys(new, 1.0)
    found = [Phase("new layers", epochs[0], None, dict(trained))]
    lowest = len(layers)
    for number, (stage, length) in enumerate(zip(transfer.stages, epochs[1:], strict=True), 1):
        start = _start(stage.down_to, layers)
        if start >= lowest:
            raise RecipeError(
                f"training.transfer.stages: {stage.down_to!r} begins at the layer {layers[start]!r} and unfreezes "
                "nothing that the stages before it have not",
                fix="order stages from the top of the network down",
            )
        trained |= dict.fromkeys(layers[start:lowest], transfer.rate_divisor**-number)
        found.append(Phase(f"down to {layers[start]}", length, stage.learning_rate, dict(trained)))
        lowest = start
    return [phase for phase in found if phase.epochs]


def _start(down_to: int | float | str, layers: Sequence[str]) -> int:
    """The place of the lowest layer that a stage trains."""
    if down_to == ALL:
        return 0
    if isinstance(down_to, str):
        places = [place for place, name in enumerate(layers) if name.startswith(down_to)]
        if not places:
            raise RecipeError(
                f"training.transfer.stages: no layer with start weights has a name that begins with {down_to!r}; "
                f"there are: {', '.join(layers)}",
                fix=did_you_mean(down_to, layers) or "name one of these layers, a number, a fraction, or `all`",
            )
        return places[0]
    count = down_to if isinstance(down_to, int) else max(1, round(down_to * len(layers)))
    if count > len(layers):
        raise RecipeError(
            f"training.transfer.stages: {down_to} layers are asked for, but only {len(layers)} have start weights",
            fix="write `all`",
        )
    return len(layers) - count
