"""Which layers and functions of the user's own may a saved model hold?"""

import inspect
from functools import cache
from pathlib import Path
from typing import Any

from edgepack import userfiles
from edgepack.errors import RecipeError

_files: list[Path] = []


def use(path: Path) -> None:
    """Let every model that this process loads from now on hold what a Python file defines.

    The file is imported when the first model is loaded, not before: not every stage needs TensorFlow.
    """
    if path not in _files:
        _files.append(path)


def in_use() -> dict[str, Any]:
    """The layers and functions of all files in use, by name.

    They are registered with tf_keras as well: a model is taken apart and built again many times after it is loaded.
    """
    import tf_keras
    from tf_keras.src import activations

    found: dict[str, Any] = {}
    for path in _files:
        found |= objects(path, tf_keras.layers.Layer)
    tf_keras.utils.get_custom_objects().update(found)
    for name, value in found.items():
        # In an .h5 file tf_keras looks for an activation function nowhere but among its own.
        if inspect.isfunction(value) and not hasattr(activations, name):
            setattr(activations, name, value)
    return found


def files() -> tuple[Path, ...]:
    """The files in use."""
    return tuple(_files)


@cache
def objects(path: Path, layer: type) -> dict[str, Any]:
    """The subclasses of a Layer class and the functions that a Python file defines, by name.

    Args:
        path: The file; it is imported once.
        layer: `tf_keras.layers.Layer`, or `keras.layers.Layer` in a process that has Keras 3.

    Raises:
        RecipeError: It cannot be imported, or its layers are those of another Keras than this process has.
    """
    module = userfiles.load(path)
    defined = {
        name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    }
    for name, value in defined.items():
        foreign = [base for base in inspect.getmro(value) if base.__name__ == "Layer"] if inspect.isclass(value) else []
        if foreign and not issubclass(value, layer):
            raise RecipeError(
                f"{path}: {name} is a layer of {foreign[0].__module__.partition('.')[0]}, and {layer.__module__} "
                "is needed here",
                fix="write `from tensorflow import keras` in that file: it is Keras 2 where Keras 2 is needed, and "
                "Keras 3 where a file of Keras 3 is read",
            )
    return {
        name: value
        for name, value in defined.items()
        if inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, layer))
    }
