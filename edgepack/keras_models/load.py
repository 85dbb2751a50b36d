"""How is a saved Keras model read, and what is wrong when it cannot be?"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import MissingError, RecipeError

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


def load_with_proof(path: Path, custom_objects: Path | None = None) -> Loaded:
    """Load a model from ``.keras``, ``.h5`` or a SavedModel folder, quantisation wrappers included.

    Files of Keras 3 are read in a process of their own, rebuilt in tf_keras, and proved equal on random inputs.

    Args:
        path: The file or folder.
        custom_objects: A Python file that defines custom layers and functions; used for later models of this process
            too (see `custom.use`).

    Raises:
        MissingError: There is nothing at that path.
        RecipeError: It is no model that Keras can read; the message says which kind of file it is. Or it is a Keras 3
            model of which parts cannot be carried over to tf_keras; all are named.
    """
    from edgepack.keras_models import custom

    if not path.exists():
        raise MissingError(f"there is no model at {path}", fix="check the path")
    if custom_objects:
        custom.use(custom_objects)
    version = _version(path)
    if version.startswith("3"):
        from edgepack.keras_models.keras3.load import load as rebuild

        rebuilt = rebuild(path, custom.files(), custom.in_use())
        return Loaded(rebuilt.model, version, rebuilt.max_abs_difference)
    return Loaded(_load_keras_2(path), version, None)


def _load_keras_2(path: Path) -> Any:
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from edgepack.keras_models import custom, layers, table
    from edgepack.quantization import quantizers

    own = {**layers.custom_objects(), **quantizers.custom_objects(), **custom.in_use()}
    own[table.KIND] = table.layer_class()
    try:
        with tfmot.quantization.keras.quantize_scope(own), tfmot.sparsity.keras.prune_scope():
            return tf_keras.models.load_model(path, compile=False)
    except Exception as error:
        raise RecipeError(
            f"{path} could not be loaded by Keras {tf_keras.__version__}: {type(error).__name__}: {_first_line(error)}",
            fix="expected a complete .keras or .h5 file or a SavedModel folder; custom layers come with "
            "model.custom_objects",
        ) from error


def _version(path: Path) -> str:
    """The version of Keras that saved a model, or an empty text where the file does not say."""
    if path.is_dir():
        return ""
    if path.suffix == ".keras":
        return _archive_version(path)
    import h5py

    if path.suffix not in H5_SUFFIXES or not h5py.is_hdf5(path):
        return ""
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise RecipeError(
                f"{path} holds weights and no model", fix='save the whole model: model.save("model.keras")'
            )
        version = file.attrs.get("keras_version", "")
    return version.decode() if isinstance(version, bytes) else str(version)


def _archive_version(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read("metadata.json"))
            broken = archive.testzip()
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise RecipeError(
            f"{path} is not a readable .keras file ({_first_line(error)})", fix="save or copy the model again"
        ) from error
    if broken is not None:
        raise RecipeError(f"{path}: its member {broken!r} is damaged", fix="save or copy the model again")
    return str(metadata.get("keras_version", ""))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
