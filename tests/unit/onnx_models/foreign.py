"""Of what are the ``.onnx`` files made that stand for those of other tools?"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PIXELS, CLASSES = 16, 3


def classifier(
    shape: tuple[int | str, ...] = ("n", 4, 4, 1), *, kind: int = TensorProto.FLOAT, classes: int = CLASSES
) -> onnx.ModelProto:
    """Flattened images, one product with fixed weights, a softmax; the weights are in the type of the input."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    kernel = np.random.default_rng(0).normal(size=(PIXELS, classes)).astype(dtype)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["classes"]),
    ]
    return model(nodes, {"kernel": kernel}, ("image", kind, shape), ("classes", kind, (shape[0], classes)))


def quantised(*, integers: bool = True) -> onnx.ModelProto:
    """The same between DequantizeLinear and QuantizeLinear, fed with uint8 integers unless the ends are float."""
    kernel = np.random.default_rng(0).integers(-127, 128, (PIXELS, CLASSES)).astype(np.int8)
    constants = {
        "kernel": kernel,
        "small": np.float32(0.01),
        "scale": np.float32(0.0625),
        "zero": np.uint8(3),
        "level": np.int8(0),
        "step": np.float32(1 / 256),
        "ground": np.uint8(0),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["image" if integers else "q", "scale", "zero"], ["real"]),
        helper.make_node("Flatten", ["real"], ["flat"]),
        helper.make_node("DequantizeLinear", ["kernel", "small", "level"], ["weights"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["classes" if not integers else "shares"]),
    ]
    if integers:
        nodes.append(helper.make_node("QuantizeLinear", ["shares", "step", "ground"], ["classes"]))
    else:
        nodes.insert(0, helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]))
    kind = TensorProto.UINT8 if integers else TensorProto.FLOAT
    return model(nodes, constants, ("image", kind, ("n", 4, 4, 1)), ("classes", kind, ("n", CLASSES)))


def model(
    nodes: list[Any],
    constants: dict[str, NDArray[Any] | np.generic],
    *ends: tuple[str, int, tuple[int | str, ...]],
) -> onnx.ModelProto:
    """A model of nodes; the last of the ends is its output."""
    values = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in ends]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "foreign", values[:-1], values[-1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def save(made: onnx.ModelProto, path: Path) -> Path:
    """Write a model to a file."""
    path.write_bytes(made.SerializeToString())
    return path
