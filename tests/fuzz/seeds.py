"""Of what real files does the search begin? Of a small run of edgepack itself, and of models that Keras saved."""

import os
import subprocess
import sys
from pathlib import Path

from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """\
name: seed
data:
  sklearn: digits
  image_shape: [8, 8, 1]
  preprocessing: {scale: 0.0625}
model:
  zoo: small_cnn
  args: {filters: [2]}
training:
  epochs: 1
export:
  - {format: tflite, precision: float32}
  - {format: tflite, precision: int8}
  - {format: onnx, precision: float32}
  - {format: onnx, precision: int8}
targets: [linux-amd64-cpu]
verify: {samples: 40, golden: 4, pair_samples: 8, layer_samples: 1}
gates: {max_accuracy_drop: 1.0}
"""

KERAS_2 = """
from tf_keras import Model, Sequential, layers
import tensorflow as tf
x = layers.Input((4, 4, 1), name="image")
y = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(x)
y = layers.BatchNormalization(name="norm")(y)
y = tf.nn.relu6(y) + 1.0
y = layers.Flatten(name="flat")(y)
model = Model(x, layers.Dense(3, activation="softmax", name="classifier")(y), name="probe")
model.save("two.keras")
model.save("two.h5", include_optimizer=False)
code = Sequential([layers.InputLayer((2,)), layers.Lambda(lambda v: v * 2), layers.Dense(1)], name="code")
code.save("code.keras")
code.save("code.h5", include_optimizer=False)
"""

KERAS_3 = """
import keras
from keras import layers, ops
x = layers.Input((4, 4, 1), name="image")
y = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(x)
y = ops.add(layers.BatchNormalization(name="norm")(y), 1.0)
y = layers.Flatten(name="flat")(y)
model = keras.Model(x, layers.Dense(3, activation="softmax", name="classifier")(y), name="probe")
model.save("three.keras")
plain = keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="relu"), layers.Dense(1)], name="plain")
plain.save("three.h5")
"""


def make(folder: Path) -> Path:
    """Make the files once.

    Args:
        folder: Where they are kept; what is there already is taken.

    Returns:
        A folder with ``run`` (the folder of a run with its bundle ``run/linux-amd64-cpu``), ``keras`` (saved models)
        and ``recipe.yaml``.
    """
    made = folder / "seeds"
    if (made / "complete").exists():
        return made
    keras = made / "keras"
    keras.mkdir(parents=True, exist_ok=True)
    (made / "recipe.yaml").write_text(RECIPE)
    words = ["run", "recipe.yaml", "--to", "verify", "--out", "out"]
    _start([sys.executable, "-m", "edgepack.cli.main", *words], made, {})
    _start([sys.executable, "-c", KERAS_2], keras, environment())
    _start([sys.executable, "-c", KERAS_3], keras, {"TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"})
    (made / "out/seed").rename(made / "run")
    (made / "complete").touch()
    return made


def _start(argv: list[str], cwd: Path, env: dict[str, str]) -> None:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    full = {**os.environ, **env, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(argv, cwd=cwd, env=full, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"the files to begin with could not be made:\n{done.stderr[-3000:]}")
