"""How is a saved Keras model read, and what is wrong when it cannot be?"""

import json
import zipfile
from pathlib import Path
from typing import Any

from edgepack.errors import MissingError, RecipeError


def load(path: Path) -> Any:
    """Load a tf_keras model from ``.keras``, ``.h5`` or a SavedModel folder, quantisation wrappers included.

    Raises:
        MissingError: There is nothing at that path.
        RecipeError: It is no model that Keras 2 can read; the message says which kind of file it is.
    """
    if not path.exists():
        raise MissingError(f"there is no model at {path}", fix="check the path")
    if path.suffix == ".keras":
        _check_keras_archive(path)
    import tensorflow_model_optimization as tfmot
    import tf_keras

    try:
        with tfmot.quantization.keras.quantize_scope(), tfmot.sparsity.keras.prune_scope():
            return tf_keras.models.load_model(path, compile=False)
    except Exception as error:
        raise RecipeError(
            f"{path} could not be loaded by Keras {tf_keras.__version__}: {type(error).__name__}: {_first_line(error)}",
            fix="expected a .keras or .h5 file or a SavedModel folder, complete and without unknown custom layers",
        ) from error


def _check_keras_archive(path: Path) -> None:
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
    version = str(metadata.get("keras_version", ""))
    if version.startswith("3"):
        raise RecipeError(
            f"{path} was saved by Keras {version}; expected Keras 2 (tf_keras), which model optimisation needs",
            fix="rebuild the model with tf_keras (TF_USE_LEGACY_KERAS=1), load its weights, save it again",
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
