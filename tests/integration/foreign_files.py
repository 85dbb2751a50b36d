"""Makes ``.tflite`` and ``.onnx`` files with TensorFlow, tf2onnx and ONNX Runtime alone, in the working folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import helper
from onnxruntime import quantization
from sklearn.datasets import load_digits

DIGITS = load_digits()
X = (DIGITS.data / 16).astype(np.float32).reshape(-1, 8, 8, 1)


class Samples(quantization.CalibrationDataReader):
    """A hundred digits."""

    def __init__(self, name: str) -> None:
        self._left: Iterator[dict[str, Any]] = iter([{name: image[None]} for image in X[:100]])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


def main() -> None:
    """All files."""
    model = trained()
    tflite_files(model)
    refused_files()
    onnx_files(model)


def trained() -> Any:
    """A classifier of digits."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    stack = [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
    model = tf.keras.Sequential([*stack, layers.Softmax()])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, DIGITS.target, epochs=8, verbose=0)
    return model


def write(name: str, converter: Any, **settings: Any) -> None:
    """Convert, with attributes of the converter or of its target."""
    for key, value in settings.items():
        setattr(converter if hasattr(converter, key) else converter.target_spec, key, value)
    Path(name).write_bytes(converter.convert())


def tflite_files(model: Any) -> None:
    """One file of each number format, with the converter's own ends, and one of integers throughout."""
    sets = tf.lite.OpsSet

    def converter() -> Any:
        return tf.lite.TFLiteConverter.from_keras_model(model)

    def samples() -> Iterator[list[Any]]:
        return ([image[None]] for image in X[:100])

    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    calibrated = {**smaller, "representative_dataset": samples}
    integers = {**calibrated, "supported_ops": [sets.TFLITE_BUILTINS_INT8]}
    wide = [sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    write("float32.tflite", converter())
    write("int8.tflite", converter(), **integers, inference_input_type=tf.int8, inference_output_type=tf.int8)
    write("uint8.tflite", converter(), **integers, inference_input_type=tf.uint8, inference_output_type=tf.uint8)
    write("float_ends.tflite", converter(), **calibrated)
    write("int16x8.tflite", converter(), **calibrated, supported_ops=wide)
    write("float16.tflite", converter(), **smaller, supported_types=[tf.float16])
    write("dynamic_range.tflite", converter(), **smaller)
    whole = Path("int8.tflite").read_bytes()
    Path("cut.tflite").write_bytes(whole[: len(whole) // 2])


def refused_files() -> None:
    """Files whose operations LiteRT does not have."""
    sets = tf.lite.OpsSet

    def converter(function: Callable[[Any], Any]) -> Any:
        traced = tf.function(function).get_concrete_function(tf.TensorSpec((1, 8, 8, 1)))
        return tf.lite.TFLiteConverter.from_concrete_functions([traced])

    def inverse(x: Any) -> Any:
        return tf.reshape(tf.linalg.inv(tf.reshape(x, (1, 8, 8))), (1, 64))[:, :10]

    def beta(x: Any) -> Any:
        return tf.reshape(tf.raw_ops.Betainc(a=x, b=x, x=x), (1, 64))[:, :10]

    write("flex.tflite", converter(inverse), supported_ops=[sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS])
    write("custom.tflite", converter(beta), allow_custom_ops=True)


def onnx_files(model: Any) -> None:
    """Float32, quantised in both forms, dynamically quantised, and with channels first."""
    made, _ = tf2onnx.convert.from_keras(model, opset=17)
    onnx.save(made, "float32.onnx")
    name = made.graph.input[0].name
    for form in quantization.QuantFormat:
        quantization.quantize_static("float32.onnx", f"{form}.onnx", Samples(name), quant_format=form)
    quantization.quantize_dynamic("float32.onnx", "dynamic_range.onnx")
    made.graph.node.insert(0, helper.make_node("Transpose", ["channels_first"], [name], perm=[0, 2, 3, 1]))
    made.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("channels_first", onnx.TensorProto.FLOAT, ("n", 1, 8, 8))
    )
    onnx.save(made, "channels_first.onnx")


if __name__ == "__main__":
    main()
