"""How is a saved Keras model read, and what is wrong when it cannot be?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import MissingError, RecipeError
from edgepack.keras_models.look import look
from edgepack.keras_models.trust import require_plain

H5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Loaded:
    """A model and where it comes from.

    Attributes:
        model: The tf_keras model, with its weights.
        keras_version: The version of Keras that saved it; empty where the file does not say.
        max_abs_difference: For a file of Keras 3, the largest difference between an output of the rebuilt model and
            one of the original, on random inputs; None for one of Keras 2, which nothing was rebuilt from.
    """

    model: Any
    keras_version: str
    max_abs_difference: float | None


def load(path: Path) -> Any:
    """Load a model as `load_with_proof` does, without custom layers beyond those in use, and return it alone."""
    return load_with_proof(path).model


def load_own(path: Path) -> Any:
    """Load a model that edgepack itself saved, without custom layers beyond those in use.

    What a user's Python file built may hold code, and comes back whole.

    Raises:
        RecipeError: It cannot be loaded.
    """
    return _load_keras_2(path)


def load_with_proof(path: Path, custom_objects: Path | None = None) -> Loaded:
    """Load a model from ``.keras``, ``.h5`` or a SavedModel folder, quantisation wrappers included.

    Files of Keras 3 are read in a process of their own, rebuilt in tf_keras, and proved equal on random inputs.

    Args:
        path: The file or folder.
        custom_objects: A Python file that defines custom layers and functions; used for later models of this process
            too (see `custom.use`).

    Raises:
        MissingError: There is nothing at that path.
        RecipeError: It is no model that Keras can read; the message says which kind of file it is. Or it holds code, or
            names functions that are none of Keras (see `trust`). Or it is a Keras 3 model of which parts cannot be
            carried over to tf_keras. All of it is named.
    """
    from edgepack.keras_models import custom, layers

    if not path.exists():
        raise MissingError(f"there is no model at {path}", fix="check the path")
    if custom_objects:
        custom.use(custom_objects)
    if path.is_dir() or path.suffix not in (".keras", *H5_SUFFIXES):
        return Loaded(_load_keras_2(path, safe=True), "", None)
    saved = look(path)
    if saved.version.startswith("3"):
        from edgepack.keras_models.keras3.load import load as rebuild

        rebuilt = rebuild(path, saved.config, custom.files(), custom.in_use())
        return Loaded(rebuilt.model, saved.version, rebuilt.max_abs_difference)
    require_plain(saved.config, {*custom.in_use(), *layers.custom_objects()})
    return Loaded(_load_keras_2(path, safe=True), saved.version, None)


def _load_keras_2(path: Path, *, safe: bool = False) -> Any:
    import tensorflow_model_optimization as tfmot
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    from edgepack.keras_models import custom, layers, table
    from edgepack.quantization import quantizers

    own = {**layers.custom_objects(), **quantizers.custom_objects(), **custom.in_use()}
    own[table.KIND] = table.layer_class()
    try:
        scopes = (tfmot.quantization.keras.quantize_scope(own), tfmot.sparsity.keras.prune_scope())
        with scopes[0], scopes[1], SafeModeScope(safe):
            return tf_keras.models.load_model(path, compile=False, safe_mode=safe)
    except Exception as error:
        raise RecipeError(
            f"{path} could not be loaded by Keras {tf_keras.__version__}: {type(error).__name__}: {_first_line(error)}",
            fix="expected a complete .keras or .h5 file or a SavedModel folder; custom layers come with "
            "model.custom_objects",
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
