"""How does a user's own function build the model?"""

from pathlib import Path
from typing import Any

from pydantic import Field

from edgepack import contracts, userfiles


class Config(contracts.ModelConfig):
    """A function ``build(input_shape, classes, **args)`` that returns a tf_keras model."""

    python: str = Field(description="file.py:function")
    args: dict[str, Any] = Field(default_factory=dict, description="further keyword arguments")


def identity(config: Config, base: Path) -> object:
    """Digest of the function's file."""
    path, name = userfiles.split_reference(config.python, base, what="model.python")
    return [name, userfiles.digest(path)]


def build(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Call the function; ``input_shape`` is without the batch axis."""
    path, name = userfiles.split_reference(config.python, base, what="model.python")
    return userfiles.call(path, name, input_shape=input_shape, classes=classes, **config.args)
