"""Does a model with `flip_average` answer with the mean over an image and its mirror image, in every file?"""

from pathlib import Path
from typing import Any

import compressing
import numpy as np
import pytest

from edgepack.contracts import ExportContext, TechniqueResult
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.techniques import flip_average, prune_channels, qat

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return compressing.digits()


@pytest.fixture(scope="module")
def plain(data: Dataset) -> Any:
    return compressing.network(data)


@pytest.fixture(scope="module")
def averaged(plain: Any, data: Dataset) -> TechniqueResult:
    return flip_average.apply(plain, data, flip_average.Config(), context=compressing.context())


def log_mean(plain: Any, x: Any) -> Any:
    """Softmax of the mean of the logits: the normalised geometric mean of the answers."""
    answers = np.sqrt(plain.predict(x, verbose=0) * plain.predict(x[:, :, ::-1], verbose=0))
    return answers / answers.sum(axis=1, keepdims=True)


def test_the_logits_are_the_mean_over_both(plain: Any, averaged: TechniqueResult, data: Dataset) -> None:
    x = data.inputs("test")
    answers = averaged.model.predict(x, verbose=0)
    np.testing.assert_allclose(answers, log_mean(plain, x), atol=1e-5)
    np.testing.assert_allclose(averaged.model.predict(x[:, :, ::-1], verbose=0), answers, atol=1e-5)
    assert averaged.model.count_params() == plain.count_params()


def test_without_a_last_dense_layer_the_answers_are_the_mean(data: Dataset) -> None:
    from tf_keras import Sequential, layers

    stack = [layers.InputLayer((8, 8, 1)), layers.Flatten(), layers.Dense(10), layers.Activation("sigmoid")]
    model = Sequential(stack)
    made = flip_average.apply(model, data, flip_average.Config(), context=compressing.context()).model
    x = data.inputs("test")
    expected = (model.predict(x, verbose=0) + model.predict(x[:, :, ::-1], verbose=0)) / 2
    np.testing.assert_allclose(made.predict(x, verbose=0), expected, atol=1e-6)


def test_training_sees_each_image_once(plain: Any, averaged: TechniqueResult, data: Dataset) -> None:
    import tf_keras

    x = data.inputs("test")[:8]
    both = tf_keras.Model(averaged.model.inputs, averaged.model.get_layer("mirror_images").output)
    assert both(x, training=True).shape == (8, 8, 8, 1) and both(x, training=False).shape == (16, 8, 8, 1)
    # Batch statistics are of the images alone, and so the answers are those of the model before.
    np.testing.assert_allclose(averaged.model(x, training=True), plain(x, training=True), atol=1e-5)


@pytest.mark.parametrize("trained", [False, True], ids=["calibrated", "trained"])
def test_int8_files_have_it(
    plain: Any, averaged: TechniqueResult, data: Dataset, tmp_path: Path, trained: bool
) -> None:
    import onnxruntime

    from edgepack.formats import onnx, tflite
    from edgepack.keras_models.save import save
    from edgepack.tflite_models.contents import float_operations

    save(averaged.model, tmp_path / "float.h5")
    quantised = None
    if trained:
        step = qat.apply(averaged.model, data, qat.Config(epochs=1), context=compressing.context())
        assert {note.layer: note.status for note in step.layers}["mirror_mean"] == "quantised"
        quantised = tmp_path / "quantised.h5"
        save(step.model, quantised)
    made: dict[tuple[str, str], Path] = {}
    for kind, precision in (("tflite", "float32"), ("tflite", "int8"), ("onnx", "float32"), ("onnx", "int8")):
        module: Any = {"tflite": tflite, "onnx": onnx}[kind]
        path = made[kind, precision] = tmp_path / f"{precision}.{kind}"
        export = ExportContext(
            tmp_path / "float.h5", quantised, data.calibration(256), lambda kind, precision: made[kind, precision], "t"
        )
        module.convert(module.Config(precision=precision), path, context=export)
    x, y = data.inputs("test"), data.targets("test")
    expected = log_mean(plain, x)
    session = onnxruntime.InferenceSession(made["onnx", "float32"])
    answers = [session.run(None, {session.get_inputs()[0].name: sample[None]})[0][0] for sample in x]
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    content = made["tflite", "int8"].read_bytes()
    assert not float_operations(content)
    accuracy = float(np.mean(expected.argmax(1) == y))
    assert np.mean(compressing.int8_answers(content, x).argmax(1) == y) > accuracy - 0.03
    plain_file = compressing.files(plain, data, tmp_path, quantised=False)
    assert made["tflite", "float32"].stat().st_size < plain_file.stat().st_size + 2000


def test_channels_are_removed_through_it(plain: Any, averaged: TechniqueResult, data: Dataset) -> None:
    def narrowed(model: Any) -> Any:
        config = prune_channels.Config(importance="l1", epochs=0, renew_statistics=False, goal={"parameters": 0.6})
        return prune_channels.apply(model, data, config, context=compressing.context()).model

    x = data.inputs("test")
    before, after = narrowed(plain), narrowed(averaged.model)
    assert before.count_params() == after.count_params() < 0.7 * plain.count_params()
    np.testing.assert_allclose(after.predict(x, verbose=0), log_mean(before, x), atol=1e-5)


def test_what_has_no_mirror_image_is_refused(averaged: TechniqueResult, data: Dataset) -> None:
    from tf_keras import Sequential, layers

    def refused(model: Any, words: str) -> None:
        with pytest.raises(RecipeError, match=words):
            flip_average.apply(model, data, flip_average.Config(), context=compressing.context())

    rows = Sequential([layers.InputLayer((30,)), layers.Dense(10)])
    refused(rows, r"received a model from \[\(None, 30\)\] to \[\(None, 10\)\]; expected images")
    refused(Sequential([layers.InputLayer((8, 8, 1)), layers.Conv2D(1, 3)]), "one row of answers for each")
    refused(averaged.model, "mirror images already")
