"""Is what quantisation-aware training leaves quantised where it should be, and is the file what the model says?"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import digits

from edgepack.contracts import TechniqueContext
from edgepack.dataset import Dataset
from edgepack.errors import VerificationError
from edgepack.schedules import one_cycle
from edgepack.training.config import Training

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits(600, 200, 200)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    """A small network that learned."""
    import tf_keras

    from edgepack.zoo import small_cnn

    tf_keras.utils.set_random_seed(0)
    model = small_cnn.build(small_cnn.Config(filters=(8, 16)), input_shape=(8, 8, 1), classes=10)
    for layer in model.layers:
        if "momentum" in layer.get_config():
            layer.momentum = 0.8  # so few steps would leave the statistics near where they start
    model = learn(model, data, epochs=12)
    assert float((model.predict(data.inputs("test"), verbose=0).argmax(axis=1) == data.targets("test")).mean()) > 0.6
    return model


@pytest.fixture
def context() -> TechniqueContext:
    return TechniqueContext(Training(batch_size=32), seed=0, progress=lambda _: None)


def learn(model: Any, data: Dataset, *, epochs: int) -> Any:
    import tf_keras

    from edgepack.training.fit import fit

    tf_keras.utils.set_random_seed(0)
    options: dict[str, Any] = {"learning_rate": 0.005, "schedule": one_cycle.Config(), "seed": 0, "label": "test"}
    fit(model, data, Training(batch_size=32), epochs=epochs, progress=lambda _: None, **options)
    return model


def mobile(data: Dataset) -> Any:
    """Everything that TFMOT refuses, in one small net: raw inputs, nested model, squeeze-and-excite, hard functions."""
    import tf_keras
    from tf_keras import layers

    def hard_sigmoid(x: Any) -> Any:
        return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)

    tf_keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 1), name="image")
    x = layers.Rescaling(2.0, offset=-1.0)(inputs)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.Multiply()([x, hard_sigmoid(x)])
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    squeezed = layers.Conv2D(4, 1, activation="swish")(squeezed)
    x = layers.Multiply()([x, hard_sigmoid(layers.Conv2D(8, 1)(squeezed))])
    inner = tf_keras.Sequential(
        [layers.Input((8, 8, 8)), layers.DepthwiseConv2D(3), layers.BatchNormalization(momentum=0.8)]
    )
    inside = inner(x)
    x = layers.Concatenate()([layers.AveragePooling2D(2)(inside), layers.MaxPooling2D(2)(inside)])
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.Activation("relu")(x)
    x = layers.Conv2D(12, 1, activation="relu")(x)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    return learn(tf_keras.Model(inputs, x, name="mobile"), data, epochs=4)


def activation(model: Any, name: str, samples: Any) -> Any:
    import tf_keras

    return tf_keras.Model(model.inputs, model.get_layer(name).output).predict(samples, verbose=0)


def statistics(model: Any, name: str) -> list[Any]:
    """Moving mean and variance of a BatchNormalization layer, wrapped or not."""
    layers = [layer for layer in model.layers if layer.name.removeprefix("quant_") == name]
    return [weight.numpy() for weight in layers[0].weights if "moving" in weight.name]


def test_calibrated_ranges_are_those_of_the_float_activations(data: Dataset, trained: Any) -> None:
    from edgepack.quantization.apply import fake_quantise
    from edgepack.quantization.ranges import calibrate

    samples = data.calibration(256)
    ranges = calibrate(fake_quantise(trained), samples, batch_size=100)
    for name in ("conv0_relu", "conv1_relu"):
        # The weights are quantised already, 8 bits per channel: that moves an activation by a little.
        assert ranges[name] == pytest.approx((0.0, float(activation(trained, name, samples).max())), rel=0.03)
    assert ranges["image"] == pytest.approx((0.0, float(samples.max())))


@pytest.mark.parametrize("mode", ["fold", "freeze", "train"])
def test_the_integer_file_agrees_with_the_model_in_every_mode(
    data: Dataset, trained: Any, context: TechniqueContext, mode: Any
) -> None:
    from edgepack.techniques import qat
    from edgepack.training.fit import evaluate

    config = qat.Config(epochs=1, batch_normalization=mode, learning_rate=1e-3)
    result = qat.apply(trained, data, config, context=context)
    assert result.metrics["tflite_sqnr_db"] > 25
    assert result.metrics["val_accuracy_after"] > evaluate(trained, data)["val_accuracy"] - 0.05
    names = {layer.name.removeprefix("quant_") for layer in result.model.layers}
    assert ("conv1_bn" in names) is (mode != "fold")
    if mode != "fold":
        pairs = zip(statistics(trained, "conv1_bn"), statistics(result.model, "conv1_bn"), strict=True)
        assert all(np.array_equal(before, after) for before, after in pairs) is (mode == "freeze")


def test_zeros_of_an_earlier_step_stay_zeros(data: Dataset, trained: Any, context: TechniqueContext) -> None:
    from edgepack.formats.tflite import integer_file
    from edgepack.techniques import prune, qat
    from edgepack.tflite_models.contents import kernels

    pruned = prune.apply(trained, data, prune.Config(epochs=2, sparsity=0.6), context=context)
    result = qat.apply(pruned.model, data, qat.Config(epochs=2, learning_rate=1e-3, monitor=False), context=context)
    for name in ("conv0", "conv1"):
        before = pruned.model.get_layer(name).get_weights()[0]
        after = next(w for w in result.model.get_layer(f"quant_{name}").weights if w.shape == before.shape).numpy()
        assert not after[before == 0].any(), name
        assert not np.array_equal(before, after), "the other weights were trained"
    for kernel in kernels(integer_file(result.model, data.calibration(64))):
        assert np.mean(kernel.values == kernel.zero_point) >= 0.59, kernel.tensor


def test_what_tfmot_refuses_becomes_a_full_integer_file(data: Dataset, context: TechniqueContext) -> None:
    from edgepack.formats.tflite import integer_file
    from edgepack.techniques import qat
    from edgepack.tflite_models.contents import float_operations, open_plain
    from edgepack.training.fit import evaluate

    model = mobile(data)
    result = qat.apply(model, data, qat.Config(epochs=1), context=context)
    assert not [note for note in result.layers if note.status == "blocked"]
    assert result.rewrites
    assert result.metrics["tflite_sqnr_db"] > 20
    assert result.metrics["val_accuracy_after"] > evaluate(model, data)["val_accuracy"] - 0.1
    content = integer_file(result.model, data.calibration(64))
    assert float_operations(content) == []
    operations = Counter(operation["op_name"] for operation in open_plain(content)._get_ops_details())
    assert operations["HARD_SWISH"] == 1
    assert operations["QUANTIZE"] == operations["DEQUANTIZE"] == 0, "scales that must be the same are the same"


def test_a_depthwise_kernel_has_a_scale_for_each_channel() -> None:
    """Channels a thousand times smaller than others would be rounded to nothing by one scale for all."""
    import tf_keras
    from tf_keras import layers

    from edgepack.quantization.apply import fake_quantise
    from edgepack.quantization.ranges import calibrate

    inputs = layers.Input((8, 8, 4))
    model = tf_keras.Model(inputs, layers.DepthwiseConv2D(3, name="depthwise")(inputs))
    kernel, bias = model.get_layer("depthwise").get_weights()
    kernel = kernel * np.array([1e-3, 1e-2, 1.0, 10.0], np.float32)[:, None]
    model.get_layer("depthwise").set_weights([kernel, bias])
    quantised = fake_quantise(model)
    calibrate(quantised, np.ones((1, 8, 8, 4), np.float32))
    ((weight, quantizer, variables),) = quantised.get_layer("quant_depthwise")._weight_vars
    largest = np.abs(kernel).max((0, 1)).reshape(-1)
    np.testing.assert_allclose(variables["max_var"].numpy(), largest, rtol=1e-6)
    rounded = quantizer(weight, training=False, weights=variables).numpy()
    assert (np.abs(rounded - kernel).max((0, 1)).reshape(-1) <= largest / 127 / 2 * 1.001).all()


def test_ranges_that_never_moved_fail_the_gate(data: Dataset, trained: Any, context: TechniqueContext) -> None:
    from edgepack.techniques import qat

    # TFMOT as it comes: no warm start, 0.1 % a step.
    config = qat.Config(epochs=1, calibration_samples=0, range_decay=0.999, monitor=False)
    with pytest.raises(
        VerificationError, match=r"left \d activation ranges where every range starts: image is"
    ) as caught:
        qat.apply(trained, data, config, context=context)
    assert caught.value.exit_code == 5
    assert "calibration_samples" in caught.value.fix


def test_a_range_that_samples_set_near_the_start_is_none_that_never_moved(data: Dataset, trained: Any) -> None:
    from edgepack.quantization.apply import fake_quantise
    from edgepack.quantization.ranges import calibrate, stuck

    model, samples = fake_quantise(trained), data.calibration(64)  # from 0 to 1
    calibrated = calibrate(model, 12.01 * samples - 6.005)
    fewer = 11.5 * samples - 6.005
    assert [item.scale for item in stuck(model, fewer)] == ["image"]
    assert stuck(model, fewer, calibrated=calibrated) == []


def test_the_monitor_compares_each_epoch_with_the_real_file(
    data: Dataset, trained: Any, context: TechniqueContext
) -> None:
    from edgepack.quantization.monitor import gap
    from edgepack.techniques import qat

    result = qat.apply(trained, data, qat.Config(epochs=2), context=context)
    assert [entry["tflite_sqnr_db"] > 20 for entry in result.curve] == [True, True]
    watched = data.inputs("validation", qat.MONITORED)
    assert gap(result.model, watched).sqnr_db == result.metrics["tflite_sqnr_db"]
    assert result.metrics["tflite_sqnr_db"] in [pytest.approx(entry["tflite_sqnr_db"]) for entry in result.curve]


def test_an_excluded_layer_trains_in_float(data: Dataset, trained: Any, context: TechniqueContext) -> None:
    from edgepack.techniques import qat

    result = qat.apply(trained, data, qat.Config(epochs=1, exclude=("conv1",), monitor=False), context=context)
    notes = {note.layer: note for note in result.layers}
    assert (notes["conv1"].status, notes["conv1"].reason) == ("passed through", "kept in float by the recipe")
    quantised = {
        layer.name.removeprefix("quant_") for layer in result.model.layers if getattr(layer, "_weight_vars", ())
    }
    assert quantised == {"conv0", "classifier"}


def test_a_fake_quantised_model_is_saved_and_loaded_whole(data: Dataset, trained: Any, tmp_path: Path) -> None:
    from edgepack.keras_models.load import load
    from edgepack.keras_models.save import save
    from edgepack.quantization.apply import fake_quantise
    from edgepack.quantization.ranges import calibrate

    model = fake_quantise(trained)
    calibrate(model, data.calibration(64))
    save(model, tmp_path / "model.h5")
    x = data.inputs("test", 32)
    np.testing.assert_array_equal(load(tmp_path / "model.h5").predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_kernel_that_a_rewrite_froze_is_not_trained(data: Dataset, context: TechniqueContext) -> None:
    """Behind ``x / 255`` a kernel is so small that one step of the optimizer would undo it."""
    from tf_keras import Sequential, layers

    from edgepack.techniques import qat

    model = Sequential([layers.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, name="conv")])
    model.add(layers.Flatten())
    model.add(layers.Dense(10, name="head"))
    learn(model, data, epochs=1)
    result = qat.apply(model, data, qat.Config(epochs=1, learning_rate=1e-3, monitor=False), context=context)
    assert [weight.name for weight in result.model.trainable_weights] == ["head/kernel:0", "head/bias:0"]
    before, after = (m.get_layer(name).get_weights()[0] for m, name in ((model, "conv"), (result.model, "quant_conv")))
    np.testing.assert_allclose(after, before / 255, rtol=1e-6)
