"""Do activations become unsigned without any number changing, and do weights stay as they are?"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgepack.onnx_models.unsigned import SHIFT, make_operands_unsigned, make_unsigned


def model(nodes: list[Any], constants: dict[str, Any], *, kind: int = TensorProto.INT8, output: Any = None) -> Any:
    """A graph from `x` to `y`, both (1, 4)."""
    ends = [
        helper.make_tensor_value_info("x", kind, [1, 4]),
        helper.make_tensor_value_info("y", output or kind, [1, 4]),
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(graph: Any, x: Any) -> Any:
    """What the graph gives as it is written: ONNX Runtime would fuse unsigned layers alone, and round differently."""
    onnx.checker.check_model(graph, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


SCALES = {"s": np.float32(0.05), "t": np.float32(0.07), "z": np.int8(-5), "o": np.int8(11), "w": np.float32(0.01)}


def layer() -> Any:
    """Dequantise, multiply by int8 weights, quantise; behind it the integers are reshaped."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["weights", "w", "none"], ["b"]),
        helper.make_node("MatMul", ["a", "b"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "t", "o"], ["d"]),
        helper.make_node("Reshape", ["d", "shape"], ["y"]),
    ]
    weights = np.random.default_rng(0).integers(-127, 128, (4, 4)).astype(np.int8)
    return model(nodes, {**SCALES, "weights": weights, "none": np.int8(0), "shape": np.array([1, 4])})


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-128, 127), min_size=4, max_size=4))
def test_the_same_numbers_come_out_shifted(values: list[int]) -> None:
    signed, unsigned = layer(), layer()
    assert make_unsigned(unsigned) == {"x", "d", "y"}
    x = np.array([values], np.int8)
    shifted = run(unsigned, (x.astype(np.int16) + SHIFT).astype(np.uint8))
    assert shifted.dtype == np.uint8
    np.testing.assert_array_equal(shifted.astype(int) - SHIFT, run(signed, x))


def test_weights_stay_int8() -> None:
    graph = layer()
    make_unsigned(graph)
    kinds = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    assert kinds["weights"] == kinds["none"] == TensorProto.INT8


def test_weights_that_are_moved_before_use_stay_int8() -> None:
    graph = layer()
    graph.graph.node[1].input[0] = "turned"
    graph.graph.node.insert(0, helper.make_node("Transpose", ["weights"], ["turned"], perm=[1, 0]))
    assert make_unsigned(graph) == {"x", "d", "y"}
    run(graph, np.zeros((1, 4), np.uint8))


@pytest.mark.parametrize("between", [helper.make_node("Abs", ["d"], ["y"]), helper.make_node("Sign", ["d"], ["y"])])
def test_what_an_operation_looks_at_stays_signed(between: Any) -> None:
    graph = layer()
    del graph.graph.node[-1]
    graph.graph.node.append(between)
    assert make_unsigned(graph) == {"x"}
    assert run(graph, np.full((1, 4), 128, np.uint8)).dtype == np.int8


def test_what_is_joined_to_a_signed_constant_stays_signed() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("Concat", ["a", "constant"], ["b"], axis=1),
        helper.make_node("Slice", ["b", "from", "to", "axis"], ["y"]),
    ]
    constants = {"constant": np.full((1, 4), 3, np.int8), "from": np.array([2]), "to": np.array([6])}
    graph = model(
        nodes,
        {**SCALES, **constants, "axis": np.array([1])},
        kind=TensorProto.FLOAT,
        output=TensorProto.INT8,
    )
    assert make_unsigned(graph) == set()
    np.testing.assert_array_equal(run(graph, np.zeros((1, 4), np.float32)), [[-5, -5, 3, 3]])


def test_a_zero_point_that_is_left_out_is_zero() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s"], ["a"]),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["y"]),
    ]
    signed, unsigned = (model(nodes, SCALES) for _ in range(2))
    assert make_unsigned(unsigned) == {"x", "y"}
    x = np.array([[-128, -1, 0, 127]], np.int8)
    shifted = run(unsigned, (x.astype(np.int16) + SHIFT).astype(np.uint8))
    np.testing.assert_array_equal(shifted.astype(int) - SHIFT, run(signed, x))


def test_a_constant_operand_is_unsigned_like_the_activation_that_it_meets() -> None:
    def scaled() -> Any:
        nodes = [
            helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
            helper.make_node("DequantizeLinear", ["factor", "w", "o"], ["f"]),
            helper.make_node("Mul", ["a", "f"], ["b"]),
            helper.make_node("Mul", ["b", "f"], ["c"]),
            helper.make_node("QuantizeLinear", ["c", "t", "o"], ["y"]),
        ]
        return model(nodes, {**SCALES, "factor": np.int8(-113)})

    signed, unsigned = scaled(), scaled()
    make_unsigned(unsigned)
    assert make_operands_unsigned(unsigned) == 1
    x = np.array([[-128, -5, 0, 127]], np.int8)
    shifted = run(unsigned, (x.astype(np.int16) + SHIFT).astype(np.uint8))
    assert np.array_equal(shifted.astype(np.int16) - SHIFT, run(signed, x))
    kinds = {tensor.name: tensor.data_type for tensor in unsigned.graph.initializer}
    factor = next(node for node in unsigned.graph.node if node.output[0] == "f")
    assert [kinds[name] for name in (factor.input[0], factor.input[2])] == [TensorProto.UINT8] * 2


def test_weights_are_no_operands() -> None:
    assert make_operands_unsigned(layer()) == 0
