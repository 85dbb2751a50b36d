"""Does the same graph get the same bytes, whatever its converter called things and in which order?"""

import random
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgepack.onnx_models.canonical import canonicalise


def graph(seed: int) -> Any:
    """Two branches with equal constants, as a converter that merges them out of a set would write them."""
    shuffle = random.Random(seed)
    scale, zero = (f"{name}__{shuffle.randrange(90)}" for name in ("scale", "zero_point"))
    mid, left, right = (f"{name}__{shuffle.randrange(90)}" for name in ("mid", "layer/Relu", "layer/Abs"))
    nodes = [
        helper.make_node("QuantizeLinear", ["image", scale, zero], [f"{mid}_q"], name=f"n{seed}"),
        helper.make_node("DequantizeLinear", [f"{mid}_q", scale, zero], [mid], domain="" if seed % 2 else None),
        helper.make_node("Relu", [mid], [left]),
        helper.make_node("Abs", [mid], [right]),
        helper.make_node("Add", [left, right], ["scores"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(0.5, dtype=np.float32), scale),
        numpy_helper.from_array(np.array(3, dtype=np.int8), zero),
    ]
    shuffle.shuffle(constants)
    order = [0, 1, *shuffle.sample([2, 3], 2), 4]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("image", "scores")]
    made = helper.make_graph([nodes[i] for i in order], f"g__{seed}", value[:1], value[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _bytes(model: Any) -> bytes:
    canonicalise(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_names_and_order_of_the_converter_leave_no_trace(one: int, other: int) -> None:
    assert _bytes(graph(one)) == _bytes(graph(other))


def test_the_function_stays_and_so_do_the_names_of_layers() -> None:
    before, after = graph(1), graph(1)
    canonicalise(after)
    x = np.array([[-2.0, -0.4, 0.3, 7.0]], dtype=np.float32)
    answers = [
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"image": x})
        for m in (before, after)
    ]
    np.testing.assert_array_equal(*[answer[0] for answer in answers])
    assert [node.name for node in after.graph.node] == [
        "QuantizeLinear",
        "DequantizeLinear",
        "layer/Relu",
        "layer/Abs",
        "scores",
    ]
    assert {tensor.name for tensor in after.graph.initializer} == {"QuantizeLinear.1", "QuantizeLinear.2"}


def test_what_no_output_needs_is_dropped() -> None:
    model = graph(2)
    model.graph.node.append(helper.make_node("Neg", ["image"], ["unused"]))
    canonicalise(model)
    assert "unused" not in {output for node in model.graph.node for output in node.output}


@pytest.mark.parametrize("times", [1, 3])
def test_doing_it_again_changes_nothing(times: int) -> None:
    model = graph(3)
    first = _bytes(model)
    for _ in range(times):
        assert _bytes(model) == first
