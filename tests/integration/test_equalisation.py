"""Do equalisation and bias correction do what their paper says, and does int8 gain by it?"""

from typing import Any

import compressing
import numpy as np
import pytest

from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.techniques import equalise

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

FACTORS = 10.0 ** np.linspace(-2, 2, 24)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return compressing.digits()


@pytest.fixture(scope="module")
def uneven(data: Dataset) -> Any:
    """A trained network whose channels in between differ in range by four orders of magnitude; it computes the same."""
    model = compressing.network(data)
    norm, conv = model.get_layer("pointwise_bn"), model.get_layer("conv")
    gamma, beta, *rest = norm.get_weights()
    kernel, bias = conv.get_weights()
    norm.set_weights([gamma * FACTORS, beta * FACTORS, *rest])
    conv.set_weights([kernel / FACTORS[:, None], bias])
    return model


@pytest.fixture(scope="module")
def even(uneven: Any, data: Dataset) -> Any:
    return equalise.apply(uneven, data, equalise.Config(), context=compressing.context())


def int8_accuracy(model: Any, data: Dataset, *, correct_bias: bool = False) -> float:
    from edgepack.formats.tflite import integer_file
    from edgepack.quantization.post_training import calibrated

    made = calibrated(model, data.calibration(256), correct_bias=correct_bias).model
    content = integer_file(made, data.calibration(256))
    answers = compressing.int8_answers(content, data.inputs("test")).argmax(axis=1)
    return float(np.mean(answers == data.targets("test")))


def test_the_model_computes_the_same(uneven: Any, even: Any, data: Dataset) -> None:
    x = data.inputs("test")
    np.testing.assert_allclose(even.model.predict(x, verbose=0), uneven.predict(x, verbose=0), atol=1e-4)


def test_both_kernels_have_the_same_range_in_every_channel(even: Any) -> None:
    """1906.04721, eq. 11: the ranges of a channel become the geometric mean of what they were."""
    from edgepack.keras_models.graph import from_keras
    from edgepack.quantization.equalise import made_ranges, read_ranges

    nodes = from_keras(even.model).nodes
    for first, second in (("stem", "depthwise"), ("depthwise", "pointwise"), ("pointwise", "conv")):
        np.testing.assert_allclose(made_ranges(nodes[first]), read_ranges(nodes[second]), rtol=0.01)
    notes = {note.layer: note.reason for note in even.layers}
    assert notes["pointwise"].startswith("ranges of its channels: ")
    assert even.metrics["equalised_pairs"] == 4  # the classifier reads what conv makes


def test_one_pair_of_kernels_gets_the_factors_of_the_paper() -> None:
    from tf_keras import Sequential, layers

    from edgepack.keras_models.graph import from_keras
    from edgepack.quantization.equalise import equalise as equalise_graph

    model = Sequential([layers.InputLayer((3,)), layers.Dense(4, name="a"), layers.ReLU(), layers.Dense(2, name="b")])
    rng = np.random.default_rng(0)
    first, second, bias = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=4)
    model.get_layer("a").set_weights([first, bias])
    model.get_layer("b").set_weights([second, np.zeros(2)])
    graph = from_keras(model)
    equalise_graph(graph)
    r1, r2 = np.abs(first).max(axis=0), np.abs(second).max(axis=1)
    s = np.sqrt(r1 * r2) / r2
    np.testing.assert_allclose(graph.nodes["a"].weights[0], first / s, rtol=1e-5)
    np.testing.assert_allclose(graph.nodes["a"].weights[1], bias / s, rtol=1e-5)
    np.testing.assert_allclose(graph.nodes["b"].weights[0], second * s[:, None], rtol=1e-5)


def test_int8_is_accurate_again(uneven: Any, even: Any, data: Dataset) -> None:
    float_accuracy = float(np.mean(uneven.predict(data.inputs("test"), verbose=0).argmax(-1) == data.targets("test")))
    assert int8_accuracy(uneven, data) < float_accuracy - 0.1
    assert int8_accuracy(even.model, data) > float_accuracy - 0.02


def test_a_limit_does_not_let_a_factor_through(data: Dataset) -> None:
    from tf_keras import Sequential, layers

    stack = [layers.InputLayer((8, 8, 1)), layers.Conv2D(4, 3), layers.ReLU(6.0), layers.Flatten(), layers.Dense(10)]
    with pytest.raises(RecipeError, match="no two layers"):
        equalise.apply(Sequential(stack), data, equalise.Config(), context=compressing.context())


def test_corrected_biases_bring_the_means_back(uneven: Any, data: Dataset) -> None:
    """1906.04721, section 4.2: what is subtracted is the mean error of each channel."""
    import tf_keras

    from edgepack.quantization.bias_correction import correct_biases
    from edgepack.quantization.post_training import calibrated
    from edgepack.quantization.switches import quantizers, switched

    samples = data.calibration(256)
    quantised = calibrated(uneven, samples).model
    every = [quantizer for layer in quantised.layers for quantizer in quantizers(layer)]
    conv = tf_keras.Model(quantised.inputs, quantised.get_layer("quant_conv").output)

    def means() -> Any:
        return np.asarray(conv(samples, training=False)).mean(axis=(0, 1, 2))

    with switched(every, off=True):
        wanted = means()
    before = np.abs(means() - wanted)
    changes = correct_biases(quantised, samples)
    after = np.abs(means() - wanted)
    assert changes["conv"] > 0
    assert after.max() < 0.05 * before.max()
