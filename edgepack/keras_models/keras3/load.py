"""How does a file of Keras 3 become a tf_keras model that is proved to compute the same?"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack import proc
from edgepack.errors import CLASSES, DeviceError, RecipeError
from edgepack.keras_models.graph import to_keras
from edgepack.keras_models.keras3 import proof
from edgepack.keras_models.keras3.translate import check, translate
from edgepack.keras_models.trust import require_plain
from edgepack.tf_environment import environment

TIMEOUT_S = 600

KERAS_3 = {"TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True)
class Rebuilt:
    """A tf_keras model that was a Keras 3 one.

    Attributes:
        model: The model, with its weights.
        max_abs_difference: Largest difference between an output of it and one of the original, on random inputs.
    """

    model: Any
    max_abs_difference: float


def load(path: Path, config: Mapping[str, Any], custom_objects: Sequence[Path], custom: Mapping[str, Any]) -> Rebuilt:
    """Read a ``.keras`` or ``.h5`` file of Keras 3 in a process of its own and rebuild it here.

    Args:
        path: The file.
        config: The configuration of the model in it.
        custom_objects: The user's Python files with layers and functions.
        custom: What those files hold in this process, by name.

    Raises:
        RecipeError: It cannot be read, parts of it cannot be carried over (all are named), or what was rebuilt
            computes something else (the first layer that differs is named).
    """
    _check(path, config, custom)
    with tempfile.TemporaryDirectory(prefix="edgepack-") as name:
        folder = Path(name)
        description = _read(path, folder, custom_objects)
        translation = translate(description, _arrays(folder / "arrays.npz"), custom)
        model = to_keras(translation.graph)
        probe = _arrays(folder / "probe.npz")
        found = proof.outputs(model, probe)
        if found.relative > proof.TOLERANCE:
            _read(path, folder, custom_objects, every_layer=True)
            raise proof.refuse(found, translation, probe, _arrays(folder / "layers.npz"))
    return Rebuilt(model, found.absolute)


def _check(path: Path, config: Mapping[str, Any], custom: Mapping[str, Any]) -> None:
    """Look for what cannot be carried over, and for what must not be run, before Keras 3 is started."""
    try:
        check(config, custom)
    except RecipeError:
        raise
    except Exception as error:  # what Keras itself wrote has every key that is looked for
        raise RecipeError(
            f"{path}: the configuration in it is none that Keras writes ({type(error).__name__}: {error})",
            fix="save or copy the model again",
        ) from error
    require_plain(config, custom)


def _read(path: Path, folder: Path, custom_objects: Sequence[Path], *, every_layer: bool = False) -> dict[str, Any]:
    argv = [sys.executable, "-m", "edgepack.keras_models.keras3.read", str(path), str(folder)]
    for file in custom_objects:
        argv += ["--custom-objects", str(file)]
    argv += ["--every-layer"] if every_layer else []
    done = proc.run(argv, timeout_s=TIMEOUT_S, env={**environment(), **KERAS_3})
    result = folder / "description.json"
    if done.returncode != 0 or not result.exists():
        raise DeviceError(
            f"the process that reads {path} with Keras 3 ended without a result (exit code {done.returncode}):\n"
            f"{done.tail()}",
            fix="a kill by signal 9 usually means that memory ran out",
        )
    description: dict[str, Any] = json.loads(result.read_text())
    if "error" in description:
        error = description["error"]
        raise CLASSES[error["class"]](error["message"], fix=error["fix"])
    return description


def _arrays(path: Path) -> dict[str, Any]:
    import numpy as np

    with np.load(path) as archive:
        return dict(archive)
