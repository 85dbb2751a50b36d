"""What stands in a file of Keras 3? A program of its own: Keras 3 and tf_keras cannot share a process.

``python -m edgepack.keras_models.keras3.read MODEL FOLDER [--custom-objects FILE.py]... [--every-layer]`` writes

- ``description.json``: the model's calls (see `walk.Walk`), or the error under ``error``;
- ``arrays.npz``: weights and constants;
- ``probe.npz``: two random batches ``x/<batch>/<input>`` and what the model answers, ``y/<batch>/<output>``;
- ``layers.npz`` with ``--every-layer``: what each call gives for them, ``<batch>/<node>/<output>``.
"""

import argparse
import json
import traceback
from pathlib import Path
from typing import Any

from edgepack.errors import BugError, EdgepackError, RecipeError

SEED = 20260

BATCH = 2
"""Samples in each of the two batches."""

FREE_AXIS = 128
"""Size that stands in for an input axis without a fixed one: large enough for `keras.applications`."""

LOW_PRECISION = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")


def main() -> None:
    """Read one model."""
    parser = argparse.ArgumentParser(prog="read")
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--custom-objects", type=Path, action="append", default=[])
    parser.add_argument("--every-layer", action="store_true")
    asked = parser.parse_args()
    try:
        description = _read(asked.model, asked.folder, asked.custom_objects, every_layer=asked.every_layer)
    except Exception as error:
        known = error if isinstance(error, EdgepackError) else BugError(traceback.format_exc())
        description = {"error": {"class": type(known).__name__, "message": known.message, "fix": known.fix}}
    (asked.folder / "description.json").write_text(json.dumps(description))


def _read(path: Path, folder: Path, custom_objects: list[Path], *, every_layer: bool) -> dict[str, Any]:
    import keras
    import numpy as np

    from edgepack.keras_models.keras3.walk import Walk

    model = _load(path, custom_objects)
    walk = Walk(model)
    batches = probes(model)
    np.savez(folder / "arrays.npz", **walk.arrays)
    probe: dict[str, Any] = {}
    layers: dict[str, Any] = {}
    for number, inputs in enumerate(batches):
        probe.update({f"x/{number}/{index}": value for index, value in enumerate(inputs)})
        made = walk.run(inputs)
        for index, (name, output) in enumerate(walk.outputs):
            probe[f"y/{number}/{index}"] = np.asarray(made[name][output])
        if every_layer:
            for name, values in made.items():
                layers.update({f"{number}/{name}/{index}": np.asarray(value) for index, value in enumerate(values)})
    np.savez(folder / "probe.npz", **probe)
    if every_layer:
        np.savez(folder / "layers.npz", **layers)
    return {
        "keras_version": keras.__version__,
        "name": model.name,
        "nodes": walk.nodes,
        "inputs": walk.inputs,
        "outputs": walk.outputs,
    }


def _load(path: Path, custom_objects: list[Path]) -> Any:
    import keras

    from edgepack.keras_models import custom

    own: dict[str, Any] = {}
    for file in custom_objects:
        own |= custom.objects(file, keras.layers.Layer)
    try:
        model = keras.saving.load_model(path, custom_objects=own, compile=False)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise RecipeError(
            f"{path} could not be loaded by Keras {keras.__version__}: {type(error).__name__}: {reason}",
            fix="expected a complete .keras or .h5 file; custom layers come with model.custom_objects",
        ) from error
    for layer in model._flatten_layers():
        if layer.dtype_policy.name in LOW_PRECISION:
            layer.dtype_policy = "float32"  # the variables are float32 or become it; only calls were narrower
    return model


def probes(model: Any) -> list[list[Any]]:
    """Two batches of random inputs for a Keras 3 model: standard normal, and uniform in [0, 255].

    Integer inputs get integers in [0, 255], and those that an Embedding takes get numbers of its rows.
    """
    import numpy as np

    generator = np.random.default_rng(SEED)
    batches: list[list[Any]] = []
    for highest in (None, 255):
        batch = []
        for tensor in model.inputs:
            shape = (tensor.shape[0] or BATCH, *(size or FREE_AXIS for size in tensor.shape[1:]))
            kind, rows = np.dtype(tensor.dtype).kind, _rows(tensor)
            if kind not in "fiub":
                raise RecipeError(
                    f"the input {tensor.name!r} takes {tensor.dtype}; expected numbers",
                    fix="move what turns other values into numbers out of the model",
                )
            whole = rows is not None or kind != "f"
            values: Any = generator.standard_normal(shape) if highest is None else generator.uniform(0, highest, shape)
            if whole:
                values = generator.integers(0, 2 if kind == "b" else rows or 256, shape)
            batch.append(values.astype(tensor.dtype))
        batches.append(batch)
    return batches


def _rows(tensor: Any) -> int | None:
    """The smallest number of rows of the Embedding layers that take a tensor, or None."""
    users = [call.operation for call in tensor._keras_history.operation._outbound_nodes]
    layers = [layer for user in users for layer in (user._flatten_layers() if hasattr(user, "_flatten_layers") else ())]
    rows = [layer.input_dim for layer in layers if type(layer).__name__ == "Embedding"]
    return min(rows) if rows and any(_takes_rows(user) for user in users) else None


def _takes_rows(user: Any) -> bool:
    """True when a call's first layer is an Embedding."""
    layers = [layer for layer in getattr(user, "layers", [user]) if type(layer).__name__ != "InputLayer"]
    return type(layers[0]).__name__ == "Embedding" or (hasattr(layers[0], "layers") and _takes_rows(layers[0]))


if __name__ == "__main__":
    main()
