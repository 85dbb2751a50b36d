"""How is a user's saved Keras model chosen?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from edgepack import contracts, userfiles
from edgepack.models import artifacts
from edgepack.models._start import NEW_HEAD, NewHead, Start, weighted_layers

if TYPE_CHECKING:
    from edgepack.keras_models.load import Loaded


class Config(contracts.ModelConfig):
    """A ``.keras`` or ``.h5`` file, or a SavedModel folder; not trained unless ``training.epochs`` says so."""

    default_epochs: ClassVar[int] = 0
    file: str = Field(description="path of the model")
    custom_objects: str | None = Field(None, description="Python file with the model's own layers and functions")
    new_head: NewHead | None = Field(
        None, description="replaces the classifier by a new one for the data's classes; absent = the model as it is"
    )

    @field_validator("file")
    @classmethod
    def _is_no_finished_file(cls, value: str) -> str:
        if Path(value).suffix in artifacts.formats():
            raise ValueError(
                f"expected a Keras model; finished files are given to `edgepack run` as `artifacts: [{value}]`"
            )
        return value


def identity(config: Config, base: Path) -> object:
    """Digests of the model's file or files, and of the custom layers' file."""
    digests = userfiles.digests(userfiles.find(config.file, base, what="model.file"))
    own = _custom_objects(config, base)
    return [*digests, userfiles.digest(own)] if own else digests


def build(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Load the model with its weights, and give it a new head if it is to have one."""
    return start(config, base, input_shape=input_shape, classes=classes).model


def start(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Start:
    """What `build` makes, and where its weights are from."""
    found = load(config, base)
    loaded = {"keras": found.keras_version, "max_abs_difference": found.max_abs_difference}
    if config.new_head is None:
        return Start(found.model, loaded=loaded)
    from edgepack.keras_models.head import with_new_head

    model, head = with_new_head(found.model, classes, dropout=config.new_head.dropout)
    given = tuple(name for name in weighted_layers(model) if name != head)
    return Start(model, Path(config.file).name, given, {head: NEW_HEAD}, loaded=loaded)


def load(config: Config, base: Path) -> "Loaded":
    """Load the model with its weights; says too which Keras saved it, and how far one of Keras 3 moved."""
    from edgepack.keras_models.load import load_with_proof

    return load_with_proof(userfiles.find(config.file, base, what="model.file"), _custom_objects(config, base))


def use_custom_objects(config: Config, base: Path) -> None:
    """Let every model that this process loads hold the layers of the recipe's ``custom_objects``."""
    from edgepack.keras_models import custom

    own = _custom_objects(config, base)
    if own is not None:
        custom.use(own)


def _custom_objects(config: Config, base: Path) -> Path | None:
    if config.custom_objects is None:
        return None
    return userfiles.find(config.custom_objects, base, what="model.custom_objects")
