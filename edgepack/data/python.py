"""How does a user's own function supply the data?"""

from pathlib import Path
from typing import Any

from pydantic import Field

from edgepack import contracts, userfiles
from edgepack.contracts import RawData, Samples
from edgepack.errors import RecipeError


class Config(contracts.DataConfig):
    """A function that returns a mapping with ``x``, ``y`` or with ``x_train``, ``y_train``, ``x_test``, ``y_test``."""

    python: str = Field(description="file.py:function")
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the function")
    inputs: tuple[str, ...] = Field((), description="files that the function reads: a change of them is noticed")


def identity(config: Config, base: Path) -> object:
    """Digests of the function's file and of the files that it reads."""
    path, name = userfiles.split_reference(config.python, base, what="data.python")
    files = [userfiles.find(text, base, what="data.inputs") for text in config.inputs]
    return [name, userfiles.digest(path), [userfiles.digest(file) for file in files]]


def load(config: Config, base: Path) -> RawData:
    """Call the function; x is (n, ...), y is integers (n,). An optional key ``labels`` names the classes."""
    import numpy as np

    path, name = userfiles.split_reference(config.python, base, what="data.python")
    returned = userfiles.call(path, name, **config.args)
    if not isinstance(returned, dict):
        raise RecipeError(
            f"data.python: {config.python} returned {type(returned).__name__}; expected a dict with x and y",
            fix="return {'x': x, 'y': y}",
        )

    def samples(x: str, y: str) -> Samples | None:
        return Samples(np.asarray(returned[x]), np.asarray(returned[y])) if x in returned and y in returned else None

    train = samples("x_train", "y_train") or samples("x", "y")
    if train is None:
        raise RecipeError(
            f"data.python: {config.python} returned the keys {sorted(returned)}; "
            "expected x and y, or x_train and y_train",
            fix="rename the keys",
        )
    labels = returned.get("labels") or [str(i) for i in range(int(np.max(train.y)) + 1 if train.y.size else 0)]
    validation, test = samples("x_validation", "y_validation"), samples("x_test", "y_test")
    return RawData(train, validation, test, tuple(str(label) for label in labels))
