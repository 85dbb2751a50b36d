"""Are channels really gone, is the rest still the same model, and does it still know its digits?"""

from typing import Any

import numpy as np
import pytest
from compressing import digits

from edgepack.contracts import TechniqueContext, TechniqueResult
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.schedules import one_cycle
from edgepack.training.config import Training

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits()


@pytest.fixture(scope="module")
def context() -> TechniqueContext:
    return TechniqueContext(Training(batch_size=32), seed=0, progress=lambda _: None)


def network() -> Any:
    """Every kind of coupling on 8x8 images: residual adds, depthwise, a gate, concatenation, a flattened end."""
    from tf_keras import Input, Model, layers

    def conv(x: Any, filters: int, size: int, name: str, *, relu: bool = True) -> Any:
        x = layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    image = Input((8, 8, 1), name="image")
    stem = conv(image, 16, 3, "stem")
    x = conv(stem, 32, 1, "expand")
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.BatchNormalization(momentum=0.9, name="depthwise_bn")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Conv2D(8, 1, activation="relu", name="reduce")(gate)
    gate = layers.Conv2D(32, 1, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply(name="scale")([x, gate])
    x = layers.Add(name="add")([stem, conv(x, 16, 1, "project", relu=False)])
    x = layers.Concatenate(name="concat")([x, conv(x, 16, 3, "branch")])
    x = layers.MaxPooling2D(name="pool")(x)
    x = conv(x, 16, 3, "last")
    x = layers.Dense(10, name="classifier")(layers.Flatten(name="flatten")(x))
    return Model(image, layers.Softmax(name="softmax")(x), name="coupled")


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    """The network, well trained."""
    import tf_keras

    from edgepack.training.fit import fit

    tf_keras.utils.set_random_seed(0)
    model = network()
    settings: dict[str, Any] = {"learning_rate": 0.005, "schedule": one_cycle.Config(), "seed": 0, "label": "test"}
    fit(model, data, Training(batch_size=32), epochs=6, progress=lambda _: None, **settings)
    return model


def prune(model: Any, data: Dataset, context: TechniqueContext, **config: Any) -> TechniqueResult:
    from edgepack.techniques import prune_channels

    return prune_channels.apply(model, data, prune_channels.Config(**config), context=context)


@pytest.fixture(scope="module")
def halved(trained: Any, data: Dataset, context: TechniqueContext) -> TechniqueResult:
    """Half of the operations, trained on with the defaults; the model that was given stays as it was."""
    before = [weight.copy() for weight in trained.get_weights()]
    result = prune(trained, data, context, epochs=3)
    for old, new in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    return result


def macs(model: Any) -> int:
    """Multiply-accumulates by the formula, from the layers of a Keras model."""
    total = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "DepthwiseConv2D"):
            _, height, width, _ = layer.output_shape
            total += height * width * int(np.prod(layer.get_weights()[0].shape))
        elif kind == "Dense":
            total += int(np.prod(layer.get_weights()[0].shape))
    return total


def test_half_of_the_operations_are_gone_and_the_model_still_knows_its_digits(
    trained: Any, halved: TechniqueResult, data: Dataset
) -> None:
    from edgepack.training.fit import evaluate

    metrics = halved.metrics
    assert metrics["macs_before"] == macs(trained)
    assert metrics["macs_after"] == macs(halved.model)
    assert 0.46 <= metrics["macs_fraction"] <= 0.5
    assert metrics["parameters_after"] == halved.model.count_params()
    before = evaluate(trained, data)["val_accuracy"]
    assert before > 0.93
    assert metrics["val_accuracy_after"] > before - 0.03
    assert evaluate(halved.model, data)["val_accuracy"] == pytest.approx(metrics["val_accuracy_after"])
    assert len(halved.curve) == 3
    assert [entry["epoch"] for entry in halved.curve] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("MobileNetV2", 300e6),  # Sandler et al., 1801.04381
        ("ResNet50", 3.8e9),  # He et al., 1512.03385
    ],
)
def test_operations_are_counted_as_in_the_papers(name: str, published: float) -> None:
    import tf_keras

    from edgepack.channels.macs import cost
    from edgepack.channels.shapes import tensor_shapes
    from edgepack.keras_models.graph import from_keras

    model = getattr(tf_keras.applications, name)(weights=None, input_shape=(224, 224, 3))
    graph = from_keras(model)
    found = cost(graph, tensor_shapes(graph, model))
    assert found.macs == pytest.approx(published, rel=0.02)
    assert found.parameters == model.count_params()


def test_coupled_layers_lost_the_same_channels(halved: TechniqueResult) -> None:
    width = {layer.name: layer.output_shape[-1] for layer in halved.model.layers}
    assert width["stem"] == width["project"] == width["add"] < 16
    assert width["expand"] == width["depthwise"] == width["excite"] == width["scale"] < 32
    assert width["concat"] == width["add"] + width["branch"]
    assert width["flatten"] == 16 * width["last"] < 16 * 16
    assert width["classifier"] == 10


def test_the_notes_say_what_became_of_each_layer(trained: Any, halved: TechniqueResult) -> None:
    notes = {note.layer: note for note in halved.layers}
    assert list(notes) == [layer.name for layer in trained.layers]
    for name in ("stem", "expand", "depthwise", "depthwise_bn", "branch"):
        before, after = (model.get_layer(name).output_shape[-1] for model in (trained, halved.model))
        assert notes[name].status == "narrowed"
        assert notes[name].reason.endswith(f"{before} -> {after} channels"), notes[name]
    flat = halved.model.get_layer("flatten").output_shape[-1]
    assert notes["classifier"].reason == f"256 -> {flat} inputs; its channels stay: softmax is a softmax over them"
    assert (notes["pool"].status, notes["pool"].reason) == ("passed through", "no weights")


def test_the_file_holds_narrower_weights_and_runs_them(trained: Any, halved: TechniqueResult, data: Dataset) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from edgepack.channels.latency import to_tflite

    whole, narrow = to_tflite(trained), to_tflite(halved.model)
    assert len(narrow) < 0.75 * len(whole)
    interpreter = Interpreter(model_content=narrow)
    interpreter.allocate_tensors()
    shapes = [tuple(detail["shape"]) for detail in interpreter.get_tensor_details()]
    for name in ("stem", "branch", "last"):
        rows, columns, inputs, filters = halved.model.get_layer(name).get_weights()[0].shape
        assert (filters, rows, columns, inputs) in shapes, name
    widths = {shape[0] for shape in shapes if len(shape) == 4 and shape[1:3] == (3, 3)}
    assert max(widths) <= 12, "the 3x3 convolutions had 16 filters"
    sample = data.inputs("test", 1)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, halved.model.predict(sample, verbose=0), atol=1e-4)


def sequence_network() -> Any:
    """1-D convolutions, a shared layer, a model inside, arithmetic written as operators."""
    from tf_keras import Input, Model, Sequential, layers

    frames = Input((12, 6), name="frames")
    x = layers.Conv1D(16, 3, padding="causal", name="stem")(frames)
    x = x * (layers.ReLU(6.0, name="hard")(x + 3.0) * (1.0 / 6.0))
    shared = layers.SeparableConv1D(16, 3, padding="same", name="shared")
    x = layers.Add(name="add")([shared(x), shared(layers.PReLU(shared_axes=[1], name="prelu")(x))])
    inner = Sequential([layers.Conv1D(8, 1, name="inner_a"), layers.BatchNormalization(name="inner_bn")], name="inner")
    x = layers.AveragePooling1D(name="pool")(inner(x))
    x = layers.Reshape((48,), name="shape")(x)
    return Model(frames, layers.Dense(5, activation="softmax", name="head")(x), name="sequence")


@pytest.mark.parametrize("build", [network, sequence_network])
def test_removing_is_masking_in_keras(build: Any) -> None:
    import tf_keras

    from edgepack.channels import groups, importance, macs, remove, select
    from edgepack.channels.shapes import tensor_shapes
    from edgepack.channels.symbols import trace
    from edgepack.keras_models.graph import from_keras, to_keras

    tf_keras.utils.set_random_seed(3)
    model = build()
    rng = np.random.default_rng(0)
    model.set_weights([weight + rng.normal(0.0, 0.1, weight.shape) for weight in model.get_weights()])
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance.numpy()))
    graph = from_keras(model)
    whole = to_keras(graph)
    channels = trace(graph, shapes := tensor_shapes(graph, whole))
    found = groups.removable(channels)
    count = macs.counter(graph, shapes, channels)
    keep = select.choose(
        found,
        importance.l1(graph, channels, found),
        lambda kept: count(kept).parameters,
        0.5 * whole.count_params(),
        scope="global",
        limits=select.limits(found, multiple_of=1, min_channels=1),
    )
    narrow = to_keras(remove.remove(graph, channels, keep))
    assert narrow.count_params() == count(keep).parameters <= 0.5 * whole.count_params()
    x = rng.normal(size=(8, *model.input_shape[1:])).astype(np.float32)
    expected = to_keras(remove.masked(graph, channels, keep)).predict(x, verbose=0)
    np.testing.assert_allclose(narrow.predict(x, verbose=0), expected, atol=1e-5)
    assert np.abs(expected - whole.predict(x, verbose=0)).max() > 1e-3, "masking changed nothing: the test is blind"


@pytest.mark.parametrize("importance", ["l1", "batch_norm", "taylor"])
def test_channels_without_effect_are_the_ones_that_go(
    trained: Any, data: Dataset, context: TechniqueContext, importance: str
) -> None:
    from edgepack.channels.groups import removable
    from edgepack.channels.shapes import tensor_shapes
    from edgepack.channels.symbols import trace
    from edgepack.keras_models.graph import from_keras, to_keras

    graph = from_keras(trained)
    channels = trace(graph, tensor_shapes(graph, trained))
    dead = np.concatenate([group.units[1::2] for group in removable(channels)])
    for part in channels.slices:
        weight = graph.nodes[part.node].weights[part.weight]
        np.moveaxis(weight, part.axis, 0)[np.isin(part.units, dead)] = 0.0
    half_dead = to_keras(graph)
    result = prune(
        half_dead, data, context, epochs=0, renew_statistics=False, importance=importance, multiple_of=1, min_channels=1
    )
    assert result.metrics["macs_fraction"] == pytest.approx(0.5, abs=0.02)
    x = data.inputs("test", 64)
    np.testing.assert_allclose(result.model.predict(x, verbose=0), half_dead.predict(x, verbose=0), atol=1e-5)


def test_renewed_statistics_bring_back_much_of_what_one_shot_pruning_loses(
    trained: Any, data: Dataset, context: TechniqueContext
) -> None:
    accuracy = {
        renewed: prune(trained, data, context, epochs=0, renew_statistics=renewed).metrics["val_accuracy_after"]
        for renewed in (False, True)
    }
    assert accuracy[True] > accuracy[False] + 0.05


def test_renewed_statistics_are_those_of_the_samples_and_noise_stays_out(data: Dataset) -> None:
    from tf_keras import Sequential, layers

    from edgepack.channels.statistics import renew

    model = Sequential(
        [
            layers.InputLayer((8, 8, 1)),
            layers.Dropout(0.5, name="noise"),
            layers.BatchNormalization(name="bn", momentum=0.99),
        ]
    )
    samples = data.calibration(256)
    assert renew(model, samples, batch_size=64) == 1
    bn = model.get_layer("bn")
    assert bn.moving_mean.numpy() == pytest.approx(samples.mean(), rel=1e-4)
    batches = samples.reshape(4, -1)
    assert bn.moving_variance.numpy() == pytest.approx(batches.var(axis=1).mean(), rel=1e-2)
    assert (bn.momentum, model.get_layer("noise").rate) == (0.99, 0.5)


def test_iterations_share_the_epochs_and_end_at_the_goal(
    trained: Any, data: Dataset, context: TechniqueContext
) -> None:
    # Single channels: wider steps end at the goal or well below it, as the weights have it.
    steps: dict[str, Any] = {"iterations": 2, "epochs": 2, "scope": "global", "multiple_of": 1}
    result = prune(trained, data, context, goal={"parameters": 0.4}, **steps)
    assert 0.35 <= result.metrics["parameters_fraction"] <= 0.4
    assert result.metrics["parameters_after"] == result.model.count_params()
    assert [entry["epoch"] for entry in result.curve] == [1, 2]
    assert result.metrics["val_accuracy_after"] > 0.85


def test_zeros_of_an_earlier_step_are_promised_for_the_channels_that_stay(
    trained: Any, data: Dataset, context: TechniqueContext
) -> None:
    import tf_keras

    sparse = tf_keras.models.clone_model(trained)
    sparse.set_weights(trained.get_weights())
    layer = sparse.get_layer("branch")
    kernel = layer.get_weights()[0]
    layer.set_weights([np.where(np.random.default_rng(0).random(kernel.shape) < 0.6, 0, kernel)])
    result = prune(sparse, data, context, epochs=0)
    left = result.model.get_layer("branch").get_weights()[0]
    (promise,) = result.promises
    rows, columns, inputs, filters = left.shape
    assert (promise.layer, promise.shape) == ("branch", (filters, rows, columns, inputs))
    assert left.size < kernel.size
    assert promise.zeros == np.count_nonzero(left == 0) > 0.4 * left.size


def test_a_latency_goal_is_met_by_measurement(trained: Any, data: Dataset, context: TechniqueContext) -> None:
    said: list[str] = []
    watched = TechniqueContext(context.training, context.seed, lambda event: said.append(str(event.get("text"))))
    result = prune(trained, data, watched, goal={"latency": 0.7}, epochs=0)
    metrics = result.metrics
    assert 0 < metrics["latency_after_ms"] < metrics["latency_before_ms"]
    assert metrics["latency_fraction"] < 0.95
    assert metrics["macs_after"] == macs(result.model) < metrics["macs_before"]
    tries = [text for text in said if "of the latency at" in text]
    assert 1 <= len(tries) <= 6
    missed = abs(metrics["latency_fraction"] - 0.7) > 0.02
    assert missed == any("of the latency" in warning for warning in result.warnings)


def test_excluded_layers_keep_their_channels(trained: Any, data: Dataset, context: TechniqueContext) -> None:
    result = prune(trained, data, context, goal={"macs": 0.7}, epochs=0, exclude=("stem", "re*"))
    width = {layer.name: layer.output_shape[-1] for layer in result.model.layers}
    assert (width["stem"], width["project"], width["reduce"]) == (16, 16, 8)
    notes = {note.layer: note for note in result.layers}
    assert (notes["stem"].status, notes["stem"].reason) == ("skipped", "its channels stay: excluded by the recipe")


def test_what_cannot_be_done_is_refused_with_the_way_out(
    trained: Any, halved: TechniqueResult, data: Dataset, context: TechniqueContext
) -> None:
    from edgepack.techniques import qat

    with pytest.raises(RecipeError, match="branhc") as caught:
        prune(trained, data, context, exclude=("branhc",))
    assert "branch" in caught.value.fix
    with pytest.raises(RecipeError, match="cannot be reached") as caught:
        prune(trained, data, context, goal={"macs": 0.05}, min_channels=8)
    assert "min_channels" in caught.value.fix
    # A narrowed model is a plain one: quantisation-aware training takes it, and what it leaves is not narrowed.
    quantised = qat.apply(halved.model, data, qat.Config(epochs=0), context=context)
    assert quantised.quantised
    assert quantised.metrics["val_accuracy_after"] > halved.metrics["val_accuracy_after"] - 0.05
    with pytest.raises(RecipeError, match="already fake-quantised"):
        prune(quantised.model, data, context)
