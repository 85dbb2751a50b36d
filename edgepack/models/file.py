"""How is a user's saved Keras model chosen?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from edgepack import contracts, userfiles

if TYPE_CHECKING:
    from edgepack.keras_models.load import Loaded


class Config(contracts.ModelConfig):
    """A ``.keras`` or ``.h5`` file, or a SavedModel folder; not trained unless ``training.epochs`` says so."""

    default_epochs: ClassVar[int] = 0
    file: str = Field(description="path of the model")
    custom_objects: str | None = Field(None, description="Python file with the model's own layers and functions")


def identity(config: Config, base: Path) -> object:
    """Digests of the model's file or files, and of the custom layers' file."""
    path = userfiles.find(config.file, base, what="model.file")
    members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    own = _custom_objects(config, base)
    return [userfiles.digest(member) for member in ([*members, own] if own else members)]


def build(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Load the model with its weights."""
    return load(config, base).model


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
