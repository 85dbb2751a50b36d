"""How is an architecture that comes with edgepack chosen, and with which weights does it start?"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from edgepack import contracts, extensions, userfiles
from edgepack.config import first_message
from edgepack.errors import RecipeError
from edgepack.models._start import NEW_HEAD, NewHead, Start, weighted_layers
from edgepack.suggest import did_you_mean

IMAGENET = "imagenet"


class Architecture(contracts.ModelConfig):
    """An architecture of ``edgepack/zoo`` and its arguments."""

    zoo: str = Field(description="name of the architecture")
    args: dict[str, Any] = Field(default_factory=dict, description="arguments of the architecture")

    @model_validator(mode="after")
    def _arguments_fit(self) -> "Architecture":
        arguments(self)
        return self


class Config(Architecture):
    """An architecture of ``edgepack/zoo``, its arguments, and the weights that it starts from."""

    weights: str | None = Field(
        None, description="model file whose weights are taken layer by layer, or `imagenet`; absent = random weights"
    )
    new_head: NewHead | None = Field(
        None, description="with `weights`: a fresh classifier even where the weights have one that fits"
    )

    @model_validator(mode="after")
    def _start_weights_fit(self) -> "Config":
        if self.new_head is not None and self.weights is None:
            raise ValueError("new_head needs start weights: without `weights` the whole network is new")
        if self.weights == IMAGENET and not hasattr(_family(self), "imagenet"):
            known = [name for name in extensions.names("edgepack.zoo") if hasattr(_family(name), "imagenet")]
            raise ValueError(f"there are no imagenet weights for {self.zoo!r}; there are for: {', '.join(known)}")
        return self


def _family(config: Architecture | str) -> Any:
    return extensions.load("edgepack.zoo", config if isinstance(config, str) else config.zoo)


def arguments(config: Architecture) -> BaseModel:
    """The checked arguments of the architecture, defaults filled in.

    Raises:
        ValueError: Unknown architecture, or arguments that it does not take.
    """
    try:
        family: type[BaseModel] = _family(config).Config
    except RecipeError as error:
        raise ValueError(f"{error.message} ({error.fix.rstrip('?')})") from error
    try:
        return family.model_validate(config.args)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise ValueError(f"arguments of {config.zoo!r}: {first_message(error)}") from error
        key = ".".join(str(part) for part in first["loc"])
        hint = did_you_mean(key, family.model_fields) if first["type"] == "extra_forbidden" else first["msg"]
        raise ValueError(
            f"argument {key!r} of {config.zoo!r} is not accepted ({hint or 'unknown'}); "
            f"it takes: {', '.join(family.model_fields) or 'none'}"
        ) from error


def identity(config: Config, base: Path) -> object:
    """Digests of the weights' file; the architecture's code is part of edgepack, whose digest is in every key.

    Weights of ImageNet have none: Keras' version, which is in every key of a training, names the file.
    """
    if config.weights is None or config.weights == IMAGENET:
        return None
    return userfiles.digests(userfiles.find(config.weights, base, what="model.weights"))


def build(config: Architecture, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build the architecture for one sample of ``input_shape`` (without the batch axis), with its start weights.

    Raises:
        RecipeError: Its layers do not take such samples, or the weights do not fit.
        MissingError: The weights are not there and cannot be had.
    """
    return start(config, base, input_shape=input_shape, classes=classes).model


def start(config: Architecture, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Start:
    """What `build` makes, and where its weights are from."""
    weights = config.weights if isinstance(config, Config) else None
    try:
        if weights == IMAGENET:
            return _from_imagenet(config, input_shape, classes)
        model = _family(config).build(arguments(config), input_shape=input_shape, classes=classes)
    except ValueError as error:  # how Keras says that layers and shapes do not go together
        raise RecipeError(
            f"zoo: {config.zoo} cannot be built for samples of shape {input_shape}: {error}",
            fix="convolutions need samples of shape (height, width, channels): set the data's shape "
            "(image_shape, size), or take another architecture: mlp takes any shape",
        ) from error
    if weights is None:
        return Start(model)
    return _from_file(userfiles.find(weights, base, what="model.weights"), model, _new_head(config), classes)


def _new_head(config: Architecture) -> NewHead | None:
    return config.new_head if isinstance(config, Config) else None


def _from_file(path: Path, model: Any, new_head: NewHead | None, classes: int) -> Start:
    from edgepack.keras_models.head import classifier_layers, with_new_head
    from edgepack.keras_models.load import load_with_proof
    from edgepack.keras_models.transplant import transplant

    found = load_with_proof(path)
    moved = transplant(found.model, model, what=path.name)
    fresh = dict(moved.fresh)
    below = [name for name in fresh if name not in classifier_layers(model)]
    warnings = [
        f"model.weights: {len(below)} layers below the head start fresh, since {path.name} has nothing that fits: "
        + "; ".join(f"{name}: {fresh[name]}" for name in below)
    ]
    if new_head is not None:
        model, head = with_new_head(model, classes, dropout=new_head.dropout)
        fresh = {**{name: fresh[name] for name in below}, head: NEW_HEAD}
    given = tuple(name for name in weighted_layers(model) if name not in fresh)
    loaded = {"keras": found.keras_version, "max_abs_difference": found.max_abs_difference}
    return Start(model, path.name, given, fresh, moved.unused, loaded, tuple(warnings if below else ()))


def _from_imagenet(config: Architecture, input_shape: tuple[int, ...], classes: int) -> Start:
    """The network as Keras publishes it, without the classes of ImageNet, and a new head."""
    from edgepack.keras_models.head import with_new_head

    chosen: Any = arguments(config)
    found = _family(config).imagenet(chosen, input_shape=input_shape)
    new_head = _new_head(config) or NewHead(dropout=getattr(chosen, "dropout", 0.0))
    model, head = with_new_head(found.model, classes, dropout=new_head.dropout)
    given = tuple(name for name in weighted_layers(model) if name != head)
    return Start(model, IMAGENET, given, {head: NEW_HEAD}, warnings=found.warnings, values=found.values)
