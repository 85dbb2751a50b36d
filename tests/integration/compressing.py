"""What do the tests of compression share: real digits, a small network, the way to the final files?"""

from pathlib import Path
from typing import Any

import numpy as np

from edgepack.contracts import ExportContext, Preprocessing, Samples, TechniqueContext
from edgepack.dataset import Dataset
from edgepack.schedules import one_cycle
from edgepack.training.config import Training
from edgepack.verify.weights import Weights, weights

TRAINING = Training(batch_size=50)


def digits(train: int = 1000, validation: int = 400, test: int = 397) -> Dataset:
    """As many real digits as asked for, always the same ones."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = bunch.data.reshape(-1, 8, 8, 1).astype(np.float32)
    y = bunch.target.astype(np.int64)
    held_out, end = train + validation, train + validation + test
    parts = [Samples(x[low:high], y[low:high]) for low, high in ((0, train), (train, held_out), (held_out, end))]
    return Dataset(*parts, tuple("0123456789"), Preprocessing(scale=0.0625))


def network(data: Dataset) -> Any:
    """A small trained network with every kind of kernel that matters here."""
    import tf_keras
    from tf_keras import layers

    from edgepack.training.fit import fit

    tf_keras.utils.set_random_seed(0)
    model = tf_keras.Sequential(
        [
            layers.InputLayer((8, 8, 1), name="image"),
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem"),
            layers.BatchNormalization(momentum=0.9, name="stem_bn"),
            layers.ReLU(name="stem_relu"),
            layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise"),
            layers.Conv2D(24, 1, use_bias=False, name="pointwise"),
            layers.BatchNormalization(momentum=0.9, name="pointwise_bn"),
            layers.ReLU(name="pointwise_relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(10, activation="softmax", name="classifier"),
        ]
    )
    fit(
        model,
        data,
        TRAINING,
        epochs=12,
        learning_rate=0.01,
        schedule=one_cycle.Config(),
        seed=0,
        progress=lambda _: None,
        label="test",
    )
    return model


def context() -> TechniqueContext:
    """What a technique gets besides model and data."""
    return TechniqueContext(TRAINING, seed=0, progress=lambda _: None)


def files(model: Any, data: Dataset, folder: Path, *, quantised: bool) -> Path:
    """The final int8 file of a fake-quantised model, or the float32 file of a float one, by way of the saved model."""
    from edgepack.formats import tflite
    from edgepack.keras_models.save import save

    source, out = folder / "model.h5", folder / "model.tflite"
    save(model, source)

    def no_other(kind: str, precision: Any) -> Path:
        raise AssertionError("TensorFlow Lite files derive from no other")

    convert = ExportContext(source, source if quantised else None, data.calibration(100), no_other, "test")
    tflite.convert(tflite.Config(precision="int8" if quantised else "float32"), out, context=convert)
    return out


def int8_answers(content: bytes, x: Any) -> Any:
    """What an int8 file with integer inputs answers to real inputs x, sample by sample; int8 of shape (n, classes)."""
    from edgepack.tflite_models.contents import open_plain

    interpreter = open_plain(content)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = source["quantization"]
    answers = []
    for sample in np.clip(np.rint(x / scale) + zero_point, -128, 127).astype(np.int8):
        interpreter.set_tensor(source["index"], sample[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(target["index"])[0])
    return np.array(answers)


def by_shape(path: Path) -> dict[tuple[int, ...], Weights]:
    """Weights of a file by their shape, which tells the layers apart; those of the depthwise one are left out."""
    return {item.shape: item for item in weights(path) if item.operation != "DEPTHWISE_CONV_2D"}


SHAPES = {"stem": (8, 3, 3), "pointwise": (24, 8), "conv": (16, 3, 3, 24), "classifier": (10, 16)}
"""Shape of each layer's weights in the file, output channels first, axes of size 1 left out."""
