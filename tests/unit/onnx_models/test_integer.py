"""Is the int8 ``.onnx`` in the form that ONNX Runtime computes exactly?"""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgepack.onnx_models.integer import own_zero_points


def two_weights(zero_point: str) -> ModelProto:
    """A model that reads two int8 weights with one zero point between them."""
    constants = [
        numpy_helper.from_array(np.array([1, -2], np.int8), "w0"),
        numpy_helper.from_array(np.array([3, -4], np.int8), "w1"),
        numpy_helper.from_array(np.array(0.5, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    nodes = [helper.make_node("DequantizeLinear", [f"w{i}", "scale", zero_point], [f"y{i}"]) for i in range(2)]
    outputs = [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [2]) for i in range(2)]
    given = [helper.make_tensor_value_info("given", TensorProto.INT8, [])]
    return helper.make_model(helper.make_graph(nodes, "two", given, outputs, constants))


def test_each_weight_has_a_zero_point_of_its_own() -> None:
    model = two_weights("zero")
    own_zero_points(model)
    names = [node.input[2] for node in model.graph.node]
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert len(set(names)) == 2
    assert [int(values[name]) for name in names] == [0, 0]


def test_a_zero_point_that_is_computed_stays() -> None:
    model = two_weights("given")
    own_zero_points(model)
    assert [node.input[2] for node in model.graph.node] == ["given", "given"]
