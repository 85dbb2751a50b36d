"""Do models that a real Keras 3 saved arrive in tf_keras as they were, and is everything that cannot arrive named?"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TIMEOUT_S, Edgepack, read_json

from edgepack.errors import RecipeError

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

HERE = Path(__file__).parent

PARTS = """
import tensorflow as tf
from tensorflow import keras


class Scale(keras.layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        initializer = keras.initializers.Constant(self.start)
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer=initializer)

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class Planted(keras.layers.Layer):
    def call(self, inputs):
        return inputs * (1.01 if keras.layers.Layer.__module__.startswith("tf_keras") else 1.0)


def bent(x):
    return tf.nn.relu(x) - 0.1 * x
"""

CUSTOM_MODELS = """
import keras
from keras import Input, Sequential, layers
from parts import Planted, Scale, bent

def save(name, *own):
    stack = [Input((8, 8, 1)), layers.Conv2D(4, 3, name="conv"), *own, layers.GlobalAveragePooling2D(name="pool"),
             layers.Dense(10, activation="softmax", name="scores")]
    Sequential(stack, name=name).save(name + ".keras")

keras.utils.set_random_seed(0)
save("own", Scale(1.5, name="scale"), layers.Conv2D(4, 1, activation=bent, name="bending"),
     layers.Lambda(bent, name="named_code"))
save("planted", layers.ReLU(name="before"), Planted(name="planted"), layers.ReLU(name="after"))
"""

APPLICATIONS = """
import sys
import keras

for name, size in (word.split(":") for word in sys.argv[1:]):
    keras.utils.set_random_seed(0)
    shape = (int(size), int(size), 3)
    getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10).save(name + ".keras")
"""


def keras_3(folder: Path, *argv: str | Path) -> None:
    """Run a program in a process that has Keras 3."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, *map(str, argv)],
        cwd=folder,
        env={**environment, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of `keras3_models.py`; read only."""
    folder = tmp_path_factory.mktemp("keras3")
    keras_3(folder, HERE / "keras3_models.py", folder)
    return folder


@pytest.fixture(scope="module")
def arrived(saved: Path) -> Callable[[str], Any]:
    """Loads a saved model, each only once."""
    from edgepack.keras_models.load import load_with_proof

    return cache(lambda name: load_with_proof(saved / name))


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models with layers of `parts.py`; read only."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "parts.py").write_text(PARTS)
    keras_3(folder, "-c", CUSTOM_MODELS)
    return folder


def floats(weights: Any) -> list[bytes]:
    """The floating-point weights as a sorted list, so that the order of layers does not matter."""
    return sorted(weight.tobytes() for weight in weights if weight.dtype.kind == "f")


def same_after_saving(model: Any, folder: Path) -> None:
    """The model that is written into the cache and read again computes what it did."""
    import tensorflow as tf

    from edgepack.keras_models.load import load
    from edgepack.keras_models.save import save

    generator = np.random.default_rng(0)
    inputs = [
        tf.cast(generator.integers(0, 9, (2, *tensor.shape[1:])) / (9 if tensor.dtype.is_floating else 1), tensor.dtype)
        for tensor in model.inputs
    ]
    save(model, folder / "model.h5")
    again = load(folder / "model.h5")
    for found, expected in zip(tf.nest.flatten(again(inputs)), tf.nest.flatten(model(inputs)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["images", "sequences", "nested", "operations", "spoken"])
def test_every_kind_of_layer_arrives(saved: Path, arrived: Callable[[str], Any], tmp_path: Path, name: str) -> None:
    import tf_keras

    loaded = arrived(f"{name}.keras")
    assert loaded.keras_version.startswith("3.")
    assert loaded.max_abs_difference is not None
    assert 0 <= loaded.max_abs_difference < 1e-5
    assert isinstance(loaded.model, tf_keras.Model)
    with np.load(saved / f"{name}.npz") as original:
        assert floats(loaded.model.get_weights()) == floats(original.values())
    same_after_saving(loaded.model, tmp_path)


def test_nested_models_are_flat_and_shared_layers_are_one(arrived: Callable[[str], Any]) -> None:
    import tf_keras

    for suffix in (".keras", ".h5"):
        model = arrived(f"nested{suffix}").model
        assert [tensor.name for tensor in model.inputs] == ["left", "right"]
        assert not [layer for layer in model.layers if isinstance(layer, tf_keras.Model)]
        calls = {layer.name: len(layer.inbound_nodes) for layer in model.layers if layer.weights}
        assert calls == {"shared": 2, "dense": 2, "norm": 2, "dense_1": 2, "head": 1}


def test_the_table_of_operations_names_what_tensorflow_has(saved: Path, arrived: Callable[[str], Any]) -> None:
    from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

    from edgepack.keras_models.keras3.operations import FUNCTIONS, LAYERS

    for function in FUNCTIONS.values():
        assert TFOpLambda.from_config({"function": function.name}).symbol == function.name
    kinds = {type(layer).__name__ for layer in arrived("operations.keras").model.layers}
    assert {"HardSigmoid", "HardSwish", "SlicingOpLambda", "TFOpLambda"} <= kinds
    document = json.loads(_config(saved / "operations.keras"))
    used = {layer["class_name"] for layer in document["config"]["layers"] if ".ops." in layer["module"]}
    assert set(FUNCTIONS) | set(LAYERS) == used | {"Abs", "NotEqual"}


def _config(path: Path) -> str:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json").decode()


def test_half_precision_is_read_as_float32(arrived: Callable[[str], Any]) -> None:
    loaded = arrived("mixed.keras")
    assert {layer.compute_dtype for layer in loaded.model.layers} == {"float32"}
    assert loaded.max_abs_difference is not None and loaded.max_abs_difference < 1e-6


def test_all_that_cannot_be_carried_over_is_named(saved: Path) -> None:
    from edgepack.keras_models.load import load

    with pytest.raises(RecipeError) as caught:
        load(saved / "unsupported.keras")
    first, *problems = caught.value.message.splitlines()
    assert first == "5 layers or settings of this Keras 3 model cannot be carried over to tf_keras:"
    assert [line.partition(":")[0].strip() for line in problems] == [
        "rms (RMSNormalization)",
        "adaptive (AdaptiveMaxPooling2D)",
        "cumsum (Cumsum)",
        "odd (Dense)",
        "code (Lambda)",
    ]


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of `keras.applications`, small; read only."""
    folder = tmp_path_factory.mktemp("applications")
    keras_3(folder, "-c", APPLICATIONS, "MobileNetV3Small:32", "EfficientNetV2B0:32")
    return folder


@pytest.mark.parametrize(("name", "layers"), [("MobileNetV3Small", 182), ("EfficientNetV2B0", 273)])
def test_applications_arrive(applications: Path, name: str, layers: int) -> None:
    from edgepack.keras_models.load import load_with_proof

    loaded = load_with_proof(applications / f"{name}.keras")
    assert len(loaded.model.layers) == layers
    assert loaded.max_abs_difference is not None and loaded.max_abs_difference < 1e-5


def test_a_layer_that_computes_something_else_is_named(custom: Path) -> None:
    from edgepack.keras_models.load import load_with_proof

    with pytest.raises(RecipeError) as caught:
        load_with_proof(custom / "planted.keras", custom / "parts.py")
    assert "the first layer that differs is 'planted' (Planted)" in caught.value.message
    assert "(0.01 of its largest value)" in caught.value.message


def test_custom_layers_are_named_when_their_file_is_not_given(custom: Path, edgepack: Edgepack) -> None:
    done = edgepack("doctor", custom / "own.keras", "--json")
    assert done.returncode == 2
    (line,) = [line for line in json.loads(done.stdout)["errors"][0]["message"].splitlines() if "Scale" in line]
    assert line.strip() == "scale (Scale): neither tf_keras nor custom_objects has this class"


def test_layers_of_the_wrong_keras_are_refused(tmp_path: Path) -> None:
    import tf_keras

    from edgepack.keras_models import custom

    path = tmp_path / "wrong.py"
    path.write_text("import keras\n\nclass Own(keras.layers.Layer):\n    pass\n")
    with pytest.raises(RecipeError, match="Own is a layer of keras, and tf_keras") as caught:
        custom.objects(path, tf_keras.layers.Layer)
    assert "from tensorflow import keras" in caught.value.fix


RECIPE = """\
name: own
data: {sklearn: digits, image_shape: [8, 8, 1], preprocessing: {scale: 0.0625}}
model: {file: own.keras, custom_objects: parts.py}
export: [{format: tflite, precision: float32}]
verify: {samples: 20, golden: 4, pair_samples: 20}
targets: [linux-amd64-cpu]
"""


def test_custom_layers_pass_through_a_run(custom: Path, edgepack: Edgepack) -> None:
    (custom / "recipe.yaml").write_text(RECIPE)
    done = edgepack("run", "recipe.yaml", "--to", "export", cwd=custom)
    assert done.returncode == 0, done.stderr
    loaded = read_json(custom / "out/own/run.json")["training"]["loaded"]
    assert loaded["keras"].startswith("3.")
    assert loaded["max_abs_difference"] < 1e-5
    words = ("--format", "tflite", "--precision", "float32", "--custom-objects", "parts.py")
    done = edgepack("convert", "own.keras", *words, "--output", "own.tflite", "--json", cwd=custom)
    assert done.returncode == 0, done.stderr
    (exported,) = (custom / "out/own/cache").glob("export-*/model.float32.tflite")
    # Only what the file says of itself differs: the command knows neither the recipe's name nor its labels.
    assert instructions(custom / "own.tflite") == instructions(exported)


def instructions(path: Path) -> list[Any]:
    """Operations of a .tflite file with their constants."""
    from edgepack.tflite_models.contents import open_plain

    interpreter = open_plain(path.read_bytes())
    details = {detail["index"]: detail["shape"].tolist() for detail in interpreter.get_tensor_details()}
    return [
        (operation["op_name"], [details.get(int(index)) for index in operation["inputs"]])
        for operation in interpreter._get_ops_details()
    ]


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    import h5py

    from edgepack.keras_models.load import load

    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file.create_group("layers")
    with pytest.raises(RecipeError, match="holds weights and no model"):
        load(tmp_path / "model.weights.h5")


def test_a_change_of_the_custom_layers_changes_the_model(custom: Path, tmp_path: Path) -> None:
    from edgepack.models import file

    config = file.Config(file="own.keras", custom_objects="parts.py")
    for name in ("own.keras", "parts.py"):
        (tmp_path / name).write_bytes((custom / name).read_bytes())
    before = file.identity(config, tmp_path)
    assert before == file.identity(config, custom)
    (tmp_path / "parts.py").write_text(PARTS + "\n")
    assert file.identity(config, tmp_path) != before


def test_doctor_says_how_far_a_model_moved(saved: Path, edgepack: Edgepack) -> None:
    done = edgepack("doctor", saved / "spoken.keras", "--json")
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)["loaded"]
    assert loaded["keras"].startswith("3.")
    assert 0 <= loaded["max_abs_difference"] < 1e-5
