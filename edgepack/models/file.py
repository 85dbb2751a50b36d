"""How is a user's saved Keras model chosen?"""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from edgepack import contracts, userfiles


class Config(contracts.ModelConfig):
    """A ``.keras`` or ``.h5`` file, or a SavedModel folder; not trained unless ``training.epochs`` says so."""

    default_epochs: ClassVar[int] = 0
    file: str = Field(description="path of the model")


def identity(config: Config, base: Path) -> object:
    """Digest of the model's file or files."""
    path = userfiles.find(config.file, base, what="model.file")
    members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [userfiles.digest(member) for member in members]


def build(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Load the model with its weights."""
    from edgepack.keras_models.load import load

    return load(userfiles.find(config.file, base, what="model.file"))
