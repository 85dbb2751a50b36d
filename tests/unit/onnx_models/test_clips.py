"""Do limits leave the way to the quantisation without any integer changing?"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgepack.onnx_models.clips import move_clips

INFINITY = float("inf")


def limited(scale: float, zero_point: Any, low: float | None, high: float | None) -> Any:
    """`x` (1, 256), doubled, limited and quantised."""
    constants = {"two": np.float32(2), "scale": np.float32(scale), "zero": zero_point}
    limits = {"low": low, "high": high}
    constants |= {name: np.float32(value) for name, value in limits.items() if value is not None}
    clip = helper.make_node("Relu", ["a"], ["b"])
    if (low, high) != (0.0, INFINITY):
        clip = helper.make_node("Clip", ["a", *(name if name in constants else "" for name in limits)], ["b"])
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["a"]),
        clip,
        helper.make_node("QuantizeLinear", ["b", "scale", "zero"], ["y"]),
    ]
    kind = TensorProto.UINT8 if zero_point.dtype == np.uint8 else TensorProto.INT8
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 256])],
        [helper.make_tensor_value_info("y", kind, [1, 256])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: Any, x: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


@settings(deadline=None, max_examples=100)
@given(
    scale=st.floats(2**-10, 0.25, width=32),
    zero=st.integers(-128, 127),
    unsigned=st.booleans(),
    limits=st.sampled_from([(0.0, INFINITY), (0.0, 6.0), (-1.0, 1.0), (None, 3.0), (0.5, None)]),
    seed=st.integers(0, 100),
)
def test_the_same_integers_come_out(scale: float, zero: int, unsigned: bool, limits: Any, seed: int) -> None:
    zero_point = np.uint8(zero + 128) if unsigned else np.int8(zero)
    before, after = limited(scale, zero_point, *limits), limited(scale, zero_point, *limits)
    assert move_clips(after) == 1
    kinds = [node.op_type for node in after.graph.node]
    assert kinds in (["Mul", "QuantizeLinear"], ["Mul", "QuantizeLinear", "Clip"])
    x = np.random.default_rng(seed).normal(0, 6, (1, 256)).astype(np.float32)
    np.testing.assert_array_equal(run(after, x), run(before, x))


@pytest.mark.parametrize("zero_point", [np.uint8(0), np.int8(-128)])
def test_a_limit_that_the_range_implies_is_gone(zero_point: Any) -> None:
    model = limited(6 / 255, zero_point, 0.0, 6.0)
    move_clips(model)
    assert [node.op_type for node in model.graph.node] == ["Mul", "QuantizeLinear"]


def test_a_limit_inside_the_range_becomes_one_of_integers() -> None:
    model = limited(0.05, np.uint8(10), 0.0, 6.0)
    move_clips(model)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    clip = model.graph.node[-1]
    assert clip.op_type == "Clip"
    assert [int(constants[name]) for name in clip.input[1:]] == [10, 130]


def test_a_limited_number_that_something_else_reads_stays() -> None:
    model = limited(0.05, np.uint8(10), 0.0, 6.0)
    model.graph.node.append(helper.make_node("Identity", ["b"], ["other"]))
    model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, 256]))
    assert move_clips(model) == 0
    assert [node.op_type for node in model.graph.node] == ["Mul", "Clip", "QuantizeLinear", "Identity"]
