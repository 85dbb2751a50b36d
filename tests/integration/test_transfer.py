"""Does a model that starts from the weights of another one learn what it should, when, and as fast as it should?"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT, read_json

from edgepack.contracts import Preprocessing, Samples
from edgepack.dataset import Dataset
from edgepack.errors import MissingError, RecipeError
from edgepack.models import file, zoo
from edgepack.schedules import constant, one_cycle
from edgepack.training.config import Training
from edgepack.training.unfreezing import Transfer

# TensorFlow and Keras warn of their own futures on import.
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGENET_FILE = "mobilenet_2_5_128_tf_no_top.h5"
PAGE = ROOT / "docs" / "recipe.md"
ZOO: dict[str, Any] = {"zoo": "small_cnn", "args": {"filters": [8, 16, 32]}}
SHAPE: dict[str, Any] = {"input_shape": (8, 8, 1), "classes": 5}


def five_digits(first: int, train: int = 120, validation: int = 25) -> Dataset:
    """Real digits of five classes: so many of each for training and validation, the others for the test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y = bunch.data.reshape(-1, 8, 8, 1).astype(np.float32), bunch.target.astype(np.int64) - first
    classes = [np.split(np.flatnonzero(y == label), [train, train + validation]) for label in range(5)]
    parts = [np.concatenate(rows) for rows in zip(*classes, strict=True)]
    labels = tuple(str(first + label) for label in range(5))
    return Dataset(*[Samples(x[rows], y[rows]) for rows in parts], labels, Preprocessing(scale=0.0625))


def accuracy(model: Any, data: Dataset) -> float:
    from edgepack.training.fit import predict

    return float((predict(model, data, "test").argmax(axis=1) == data.targets("test")).mean())


def learn(model: Any, data: Dataset, training: Training, *, epochs: int, **options: Any) -> Any:
    from edgepack.training.fit import fit

    settings: dict[str, Any] = {"schedule": constant.Config(), "seed": 0, "label": "", "progress": lambda _: None}
    return fit(model, data, training, epochs=epochs, learning_rate=training.learning_rate, **{**settings, **options})


def tune(model: Any, data: Dataset, *, epochs: int, new: Any = (), **keys: Any) -> Any:
    from edgepack.training.transfer import fine_tune

    training = Training(**{"batch_size": 5, "learning_rate": 0.005, **keys})  # type: ignore[arg-type]
    return fine_tune(model, data, training, epochs=epochs, new=new, seed=0, progress=lambda _: None)


@pytest.fixture(scope="module")
def few() -> Dataset:
    """Digits 5 to 9, five labelled ones of each."""
    return five_digits(5, 5, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``base.h5``, a network that knows digits 0 to 4; read only."""
    import tf_keras

    from edgepack.keras_models.save import save

    tf_keras.utils.set_random_seed(0)
    model = zoo.build(zoo.Architecture(**ZOO), Path(), **SHAPE)
    for layer in model.layers:
        if "momentum" in layer.get_config():
            layer.momentum = 0.9  # so few steps would leave the statistics near where they start
    training = Training(batch_size=50, learning_rate=0.01)
    learn(model, five_digits(0), training, epochs=12, schedule=one_cycle.Config())
    assert accuracy(model, five_digits(0)) > 0.9
    made = tmp_path_factory.mktemp("base")
    save(model, made / "base.h5")
    return made


@pytest.fixture
def begun(folder: Path) -> Any:
    """A model of the zoo with the base's weights and a new head."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    return zoo.start(zoo.Config(**ZOO, weights="base.h5", new_head={}), folder, **SHAPE)


def values(model: Any) -> dict[str, list[Any]]:
    return {layer.name: [weight.numpy() for weight in layer.weights] for layer in model.layers if layer.weights}


def moved(before: dict[str, list[Any]], model: Any) -> set[str]:
    """Names of the layers of which a weight is not the same, bit for bit."""
    return {
        name
        for name, now in values(model).items()
        if any(a.tobytes() != b.tobytes() for a, b in zip(before[name], now, strict=True))
    }


def test_frozen_layers_do_not_move_by_a_bit_and_then_all_but_normalisation_do(begun: Any, few: Dataset) -> None:
    before = values(begun.model)
    options: dict[str, Any] = {"weight_decay": 0.01, "l2": 0.01, "averaging": 0.5}
    tune(begun.model, few, epochs=2, new=begun.fresh, transfer={"stages": []}, **options)
    assert moved(before, begun.model) == {"classifier"}
    tune(begun.model, few, epochs=2, new=begun.fresh, transfer={"stages": [1], "frozen_epochs": 0}, **options)
    assert moved(before, begun.model) == {"classifier", "conv2"}
    tune(begun.model, few, epochs=1, new=begun.fresh, transfer={"frozen_epochs": 0}, **options)
    assert moved(before, begun.model) == {"classifier", "conv2", "conv1", "conv0"}


def test_normalisation_is_trained_where_the_recipe_says_so(begun: Any, few: Dataset) -> None:
    before = values(begun.model)
    transfer = {"stages": [1], "frozen_epochs": 0, "batch_normalization": "train"}
    done = tune(begun.model, few, epochs=1, new=begun.fresh, transfer=transfer)
    assert moved(before, begun.model) == {"classifier", "conv2", "conv2_bn"}
    assert done.phases[0]["rates"]["conv2_bn"] == pytest.approx(0.005 / 2.6)


@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_rates_by_variable_are_those_of_the_formula(kind: str) -> None:
    """Adam (1412.6980, algorithm 1) and SGD with momentum, both with decoupled weight decay (1711.05101)."""
    import tensorflow as tf
    import tf_keras

    from edgepack.training.rates import with_factors

    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(2, 6)), rng.normal(size=(4, 2, 6)) * 0.1
    rates, decay, factors = (0.01, 0.01, 0.02, 0.005), 0.1, (1.0, 1 / 2.6)
    variables = [tf.Variable(part, dtype=tf.float64) for part in start]
    own: dict[str, Any] = {"Adam": {}, "SGD": {"momentum": 0.9}}[kind]
    by_key = {variables[1]._unique_id: factors[1]}
    made = with_factors(getattr(tf_keras.optimizers, kind), by_key)
    optimizer = made(rates[0], weight_decay=decay, **own)
    for rate, pair in zip(rates, gradients, strict=True):
        optimizer.learning_rate.assign(rate)
        optimizer.apply_gradients(zip([tf.constant(g) for g in pair], variables, strict=True))
        assert float(optimizer.learning_rate) == pytest.approx(rate)
    for place, factor in enumerate(factors):
        w, m, v = start[place].copy(), 0.0, 0.0
        for step, (rate, pair) in enumerate(zip(rates, gradients, strict=True), 1):
            g, lr = pair[place], rate * factor
            w -= w * decay * lr
            if kind == "Adam":
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                w -= lr * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (np.sqrt(v) + 1e-7)
            else:
                m = 0.9 * m - lr * g
                w += m
        np.testing.assert_allclose(variables[place].numpy(), w, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_after_one_step_of_adam_a_lower_layer_has_moved_by_less_by_the_divisor(
    begun: Any, few: Dataset, precision: str
) -> None:
    """All samples are one batch, so that a single step is taken; its length does not hang on the size of gradients."""
    before, steps = begun.model.get_weights(), []
    for divisor in (1, 2.6):
        begun.model.set_weights(before)
        was = values(begun.model)
        transfer = {"frozen_epochs": 0, "stages": [{"down_to": "conv2", "epochs": 1}], "rate_divisor": divisor}
        tune(begun.model, few, epochs=1, new=begun.fresh, batch_size=25, transfer=transfer, precision=precision)
        steps.append({name: now[0] - was[name][0] for name, now in values(begun.model).items()})
    whole, slow = steps
    assert np.median(np.abs(whole["conv2"])) == pytest.approx(0.005, rel=1e-3)  # Adam's first step is the rate
    np.testing.assert_allclose(slow["conv2"], whole["conv2"] / 2.6, atol=1e-7)
    np.testing.assert_allclose(slow["classifier"], whole["classifier"], atol=1e-7)


def test_the_curve_and_the_phases_belong_together(begun: Any, few: Dataset) -> None:
    done = tune(begun.model, few, epochs=4, new=begun.fresh, transfer={"stages": ["conv2", "all"]})
    assert [(entry["epoch"], entry["phase"]) for entry in done.curve] == [(1, 1), (2, 2), (3, 3), (4, 3)]
    assert [phase["epochs"] for phase in done.phases] == [[1, 1], [2, 2], [3, 4]]
    rates = {"classifier": 0.005, "conv2": 0.005 / 2.6, "conv1": 0.005 / 2.6**2, "conv0": 0.005 / 2.6**2}
    assert done.phases[-1]["rates"] == pytest.approx(rates)
    from edgepack.training.fit import evaluate

    scores = [(entry["val_accuracy"], -entry["val_loss"]) for entry in done.curve]
    assert done.best_epoch == 1 + scores.index(max(scores))
    assert evaluate(begun.model, few)["val_loss"] == pytest.approx(
        done.curve[done.best_epoch - 1]["val_loss"], rel=1e-4
    )


def test_a_training_that_was_stopped_goes_on_in_its_phase(begun: Any, few: Dataset, tmp_path: Path) -> None:
    from edgepack.training.checkpoints import Places
    from edgepack.training.transfer import fine_tune

    training = Training(batch_size=5, transfer=Transfer())
    start, ends = begun.model.get_weights(), []

    def stop(event: Any) -> None:
        if event["label"] == "train, down to conv0" and event["step"] > 5:
            raise KeyboardInterrupt

    def run(places: Places, progress: Any = lambda _: None) -> Any:
        begun.model.set_weights(start)
        return fine_tune(
            begun.model, few, training, epochs=4, new=begun.fresh, seed=0, progress=progress, places=places
        )

    whole = run(Places())
    ends.append(begun.model.get_weights())
    with pytest.raises(KeyboardInterrupt):
        run(Places(tmp_path), stop)
    assert len(list(tmp_path.glob("02/epoch-1.index"))) == 1
    assert run(Places(tmp_path)) == whole
    ends.append(begun.model.get_weights())
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*ends, strict=True))


def test_few_labels_are_enough_for_a_network_that_knows_other_digits(folder: Path, few: Dataset) -> None:
    """25 samples of digits 5 to 9. On average of seeds 0 to 4: 0.61 from random weights, 0.74 from the base."""
    import tf_keras

    found: list[tuple[float, float]] = []
    for seed in (0, 2):
        tf_keras.utils.set_random_seed(seed)
        scratch = zoo.build(zoo.Architecture(**ZOO), Path(), **SHAPE)
        learn(scratch, few, Training(batch_size=5, learning_rate=0.005), epochs=20)
        start = zoo.start(zoo.Config(**ZOO, weights="base.h5", new_head={}), folder, **SHAPE)
        tune(start.model, few, epochs=20, new=start.fresh, transfer={"frozen_epochs": 5})
        found.append((accuracy(scratch, few), accuracy(start.model, few)))
    scratch_mean, tuned_mean = np.mean(found, axis=0)
    assert tuned_mean > scratch_mean + 0.05, found


def test_weights_go_to_layers_of_the_same_name_and_shape(folder: Path) -> None:
    import tf_keras

    base = tf_keras.models.load_model(folder / "base.h5", compile=False)
    config = zoo.Config(zoo="small_cnn", args={"filters": [8, 24, 32]}, weights="base.h5")
    start = zoo.start(config, folder, input_shape=(8, 8, 1), classes=5)
    assert start.given == ("conv0", "conv0_bn", "conv2_bn", "classifier")
    assert set(start.fresh) == {"conv1", "conv1_bn", "conv2"}
    assert start.fresh["conv2"] == "its weights have the shapes [(3, 3, 24, 32)], there [(3, 3, 16, 32)]"
    assert set(start.unused) == {"conv1", "conv1_bn", "conv2"}
    (warning,) = start.warnings
    assert "3 layers below the head start fresh" in warning
    for name in start.given:
        for mine, theirs in zip(start.model.get_layer(name).weights, base.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    other = zoo.start(config.model_copy(update={"args": ZOO["args"]}), folder, input_shape=(8, 8, 1), classes=7)
    assert set(other.fresh) == {"classifier"} and not other.warnings
    with pytest.raises(RecipeError, match=r"no layer of base\.h5 fits 'resnet8' by name and shape"):
        zoo.start(zoo.Config(zoo="resnet8", weights="base.h5"), folder, **{**SHAPE, "classes": 4})


def stacks() -> dict[str, Callable[[], Any]]:
    """Models that end in every way that a head can be found at."""
    from tf_keras import Input, Model, Sequential, applications, layers

    def body(*end: Any) -> Any:
        first = [layers.InputLayer((32, 32, 3)), layers.Conv2D(6, 3, name="conv", activation="relu")]
        return Sequential([*first, *end], name="stack")

    def nested() -> Any:
        inner = body()
        x = inputs = Input((32, 32, 3))
        return Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(inner(x))))

    def no_chain() -> Any:
        x = Input((4,))
        return Model(x, layers.Add()([layers.Dense(3, name="a")(x), layers.Dense(3, name="b")(x)]), name="sum")

    return {
        "dense": lambda: body(
            layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(3, activation="softmax", name="old")
        ),
        "flatten": lambda: body(layers.Flatten(), layers.Dense(3, name="old"), layers.Softmax()),
        "convolution": lambda: body(layers.Conv2D(3, 1, name="old"), layers.GlobalAveragePooling2D(), layers.Softmax()),
        "positions": lambda: body(),
        "pooled": lambda: body(layers.GlobalAveragePooling2D(), layers.Dropout(0.1)),
        "normalised": lambda: body(layers.Flatten(), layers.Dense(8, name="wide"), layers.BatchNormalization()),
        "mobilenet_v1": lambda: applications.MobileNet(weights=None, input_shape=(32, 32, 3), classes=3, alpha=0.25),
        "nested": nested,
        "no chain": no_chain,
    }


HEADS = ("dense", "flatten", "convolution", "positions", "pooled", "normalised", "mobilenet_v1", "nested")


@pytest.mark.parametrize("kind", HEADS)
def test_a_new_head_stands_on_the_features(kind: str) -> None:
    from edgepack.keras_models.head import classifier_layers, with_new_head

    model = stacks()[kind]()
    headed, dense = with_new_head(model, 7, dropout=0.3)
    assert headed.output_shape == (None, 7)
    assert [type(layer).__name__ for layer in headed.layers[-3:]] == ["Dropout", "Dense", "Softmax"]
    assert classifier_layers(headed) == (dense,)
    assert "old" not in [layer.name for layer in headed.layers]
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(headed.predict(x, verbose=0).sum(axis=1), 1, rtol=1e-5)
    kept = [weight for layer in headed.layers if layer.name != dense for weight in layer.get_weights()]
    before = [weight.tobytes() for weight in model.get_weights()]
    assert kept and all(weight.tobytes() in before for weight in kept)


def test_a_head_that_cannot_be_told_is_refused() -> None:
    from edgepack.keras_models.head import with_new_head

    with pytest.raises(RecipeError, match=r"the head of 'sum' cannot be told: its layer 'add\w*' does not follow"):
        with_new_head(stacks()["no chain"](), 7)


def test_old_outputs_are_not_taken_for_the_new_classes(folder: Path, few: Dataset) -> None:
    three = Dataset(few.train, few.validation, few.test, (*few.labels, "none"), few.preprocessing)
    model = file.build(file.Config(file="base.h5"), folder, **SHAPE)
    with pytest.raises(RecipeError, match="has 5 outputs, but the data have 6 classes"):
        tune(model, three, epochs=2, transfer={})


def test_samples_that_do_not_fit_the_start_weights_are_warned_of(few: Dataset) -> None:
    from edgepack.training.transfer import warnings

    assert warnings((0.0, 1.0), few) == []
    (warning,) = warnings((-1.0, 1.0), few)
    assert warning.startswith("data.preprocessing: the samples go from 0 to 1, but the start weights")
    (warning,) = warnings((0.0, 255.0), few)
    assert "values from 0 to 255" in warning
    assert warnings(None, few) == []


def test_the_call_that_the_recipe_page_shows_works(few: Dataset, tmp_path: Path) -> None:
    from edgepack.keras_models.save import save

    (block,) = re.findall(r"^`few_labels.py`:\n\n```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    save(zoo.build(zoo.Architecture(zoo="resnet8", args={"width": 8}), Path(), **SHAPE), tmp_path / "base.h5")
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["learn"](few, tmp_path / "base.h5", 3).output_shape == (None, 5)


def test_training_json_says_where_weights_are_from_and_everything_is_trainable(
    folder: Path, few: Dataset, tmp_path: Path
) -> None:
    import tf_keras

    from edgepack import dataset
    from edgepack.recipe import Recipe
    from edgepack.stages import train
    from edgepack.stages.request import Request

    for name in ("data", "out"):
        (tmp_path / name).mkdir()
    dataset.save(few, tmp_path / "data")
    content = {"data": {"sklearn": "digits"}, "model": {**ZOO, "weights": "base.h5"}, "targets": ["linux-amd64-cpu"]}
    content["training"] = {"epochs": 2, "batch_size": 5, "transfer": {"stages": ["conv2"]}}
    recipe = Recipe.model_validate({**content, "export": [{"format": "onnx", "precision": "float32"}]})
    done = train.run(Request(recipe, folder, tmp_path / "out", {"data": tmp_path / "data"}, False, lambda _: None))
    record = read_json(tmp_path / "out" / "training.json")
    assert record["start_weights"] == {
        "source": "base.h5",
        "given": ["conv0", "conv0_bn", "conv1", "conv1_bn", "conv2", "conv2_bn", "classifier"],
        "fresh": {},
        "unused": [],
    }
    assert [phase["name"] for phase in record["phases"]] == ["new layers", "down to conv2"]
    assert record["val_accuracy"] == done["val_accuracy"] == record["curve"][record["best_epoch"] - 1]["val_accuracy"]
    model = tf_keras.models.load_model(tmp_path / "out" / "model.h5", compile=False)
    assert all(layer.trainable for layer in model.layers)
    base = tf_keras.models.load_model(folder / "base.h5", compile=False)
    assert moved(values(base), model) == {"classifier", "conv2"}


def test_a_model_of_keras_3_is_a_start(tmp_path: Path) -> None:
    """It gets a new head, and its weights go into a model of the zoo whose layers have the same names."""
    from edgepack.keras_models.transplant import transplant

    program = """
from keras import Input, Sequential, layers
stack = [Input((8, 8, 1))]
for index, filters in enumerate((8, 16, 32)):
    options = {"strides": 1 if index == 0 else 2, "padding": "same", "use_bias": False}
    stack += [layers.Conv2D(filters, 3, name=f"conv{index}", **options)]
    stack += [layers.BatchNormalization(name=f"conv{index}_bn"), layers.ReLU()]
stack += [layers.GlobalAveragePooling2D(), layers.Dense(3, name="classifier"), layers.Softmax()]
Sequential(stack).save("base.keras")
"""
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, timeout=300)
    start = file.start(file.Config(file="base.keras", new_head={}), tmp_path, **SHAPE)
    assert start.model.output_shape == (None, 5) and set(start.fresh) == {"classifier"}
    assert start.loaded["keras"].startswith("3.") and start.loaded["max_abs_difference"] < 1e-5
    model = zoo.build(zoo.Architecture(**ZOO), tmp_path, **{**SHAPE, "classes": 3})
    moved_over = transplant(start.model, model, what="base.keras")
    assert moved_over.given == start.given and set(moved_over.fresh) == {"classifier"}
    for name in start.given:
        for mine, theirs in zip(start.model.get_layer(name).weights, model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_without_a_network_imagenet_weights_are_named_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens on the port of the proxy."""
    for name, value in {"HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    config = zoo.Config(zoo="mobilenet_v1", args={"width": 0.25}, weights="imagenet")
    with pytest.raises(MissingError) as caught:
        zoo.start(config, tmp_path, input_shape=(128, 128, 3), classes=2)
    assert f"are not in ~/.keras/models/{IMAGENET_FILE} and could not be downloaded from https://" in str(caught.value)
    assert caught.value.fix == f"download that file elsewhere and put it into ~/.keras/models as {IMAGENET_FILE}"


def test_imagenet_weights_in_their_place_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real way of Keras to its file, which holds random weights here."""
    from tf_keras import applications

    (tmp_path / ".keras/models").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    published = applications.MobileNet((128, 128, 3), alpha=0.25, include_top=False, weights=None)
    published.save_weights(tmp_path / ".keras/models" / IMAGENET_FILE)
    config = zoo.Config(zoo="mobilenet_v1", args={"width": 0.25}, weights="imagenet")
    start = zoo.start(config, tmp_path, input_shape=(128, 128, 3), classes=2)
    assert start.model.output_shape == (None, 2)
    assert set(start.fresh) == {"classifier"} and start.values == (-1.0, 1.0) and not start.warnings
    for layer in [layer for layer in published.layers if layer.weights]:  # inputs have names of their own
        for mine, theirs in zip(start.model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("keys", "shape", "message"),
    [
        ({"zoo": "mobilenet_v2"}, (96, 96, 1), r"take images of 3 channels, but the samples have .* \(96, 96, 1\)"),
        ({"zoo": "mobilenet_v2", "args": {"width": 0.42}}, (96, 96, 3), "imagenet weights of Mobile.* for width 0.42"),
        ({"zoo": "mobilenet_v3", "args": {"width": 0.75, "minimalistic": True}}, (96, 96, 3), "for width 0.75"),
        ({"zoo": "efficientnet_b0"}, (16, 16, 3), "cannot be built for samples of shape"),
    ],
)  # fmt: skip
def test_images_and_widths_without_imagenet_weights_are_refused(
    keys: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        zoo.start(zoo.Config(**keys, weights="imagenet"), Path(), input_shape=shape, classes=2)
