"""How is an architecture that comes with edgepack chosen?"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from edgepack import contracts, extensions
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean


class Config(contracts.ModelConfig):
    """An architecture of ``edgepack/zoo`` and its arguments."""

    zoo: str = Field(description="name of the architecture")
    args: dict[str, Any] = Field(default_factory=dict, description="arguments of the architecture")

    @model_validator(mode="after")
    def _arguments_fit(self) -> "Config":
        arguments(self)
        return self


def arguments(config: Config) -> BaseModel:
    """The checked arguments of the architecture, defaults filled in.

    Raises:
        ValueError: Unknown architecture, or arguments that it does not take.
    """
    try:
        family: type[BaseModel] = extensions.load("edgepack.zoo", config.zoo).Config
    except RecipeError as error:
        raise ValueError(f"{error.message} ({error.fix.rstrip('?')})") from error
    try:
        return family.model_validate(config.args)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        hint = did_you_mean(key, family.model_fields) if first["type"] == "extra_forbidden" else first["msg"]
        raise ValueError(
            f"argument {key!r} of {config.zoo!r} is not accepted ({hint or 'unknown'}); "
            f"it takes: {', '.join(family.model_fields) or 'none'}"
        ) from error


def identity(config: Config, base: Path) -> object:
    """The architecture's code is part of edgepack, whose digest is in every key."""
    return None


def build(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build the architecture for one sample of ``input_shape`` (without the batch axis).

    Raises:
        RecipeError: Its layers do not take such samples.
    """
    try:
        return extensions.load("edgepack.zoo", config.zoo).build(
            arguments(config), input_shape=input_shape, classes=classes
        )
    except ValueError as error:  # how Keras says that layers and shapes do not go together
        raise RecipeError(
            f"zoo: {config.zoo} cannot be built for samples of shape {input_shape}: {error}",
            fix="convolutions need samples of shape (height, width, channels): set the data's shape "
            "(image_shape, size), or take another architecture: mlp takes any shape",
        ) from error
