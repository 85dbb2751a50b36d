"""Does padding become part of what is behind it, with every integer as it was, and only where that holds?"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgepack.onnx_models.pads import fold_pads

Sizes = tuple[int, int, int, int]


def padded(
    operation: str, sizes: Sizes, *, zero: int = 0, own: Sizes = (0, 0, 0, 0), turned: bool = True, value: float = 0.0
) -> Any:
    """`x` (1, 8, 8, 3), channels last if turned, padded, through a convolution or pooling, to `y` in integers."""
    top, left, bottom, right = sizes
    pads = [0, top, left, 0, 0, bottom, right, 0] if turned else [0, 0, top, left, 0, 0, bottom, right]
    rng = np.random.default_rng(0)
    constants = {
        "s": np.float32(0.1),
        "z": np.uint8(zero),
        "pads": np.array(pads),
        "value": np.float32(value),
        "k": rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        "ks": np.float32(0.01),
        "kz": np.int8(0),
    }
    common = {"pads": list(own), "kernel_shape": [3, 3], "strides": [2, 2]}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("Pad", ["a", "pads", "value"], ["b"]),
        helper.make_node("QuantizeLinear", ["b", "s", "z"], ["c"]),
        *([helper.make_node("Transpose", ["c"], ["t"], perm=[0, 3, 1, 2])] if turned else []),
        helper.make_node("DequantizeLinear", ["t" if turned else "c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["k", "ks", "kz"], ["w"]),
        helper.make_node("Conv", ["d", "w"], ["e"], **common)
        if operation == "Conv"
        else helper.make_node("MaxPool", ["d"], ["e"], **common),
        helper.make_node("QuantizeLinear", ["e", "s", "z"], ["y"]),
    ]
    shape = [1, 8, 8, 3] if turned else [1, 3, 8, 8]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.UINT8, [1, "channels", "height", "width"])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    x = np.random.default_rng(1).integers(0, 256, session.get_inputs()[0].shape).astype(np.uint8)
    return session.run(None, {"x": x})[0]


def kinds(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


SIDES = st.tuples(*[st.integers(0, 2)] * 4)


@settings(deadline=None, max_examples=60)
@given(
    operation=st.sampled_from(["Conv", "MaxPool"]),
    sizes=SIDES,
    own=st.tuples(*[st.integers(0, 1)] * 4),
    zero=st.sampled_from([0, 3, 128, 255]),
    turned=st.booleans(),
)
def test_the_same_integers_come_out(operation: str, sizes: Sizes, own: Sizes, zero: int, turned: bool) -> None:
    before, after = (padded(operation, sizes, own=own, zero=zero, turned=turned) for _ in range(2))
    folded = fold_pads(after)
    assert folded == ("Pad" not in kinds(after))
    if operation == "Conv":
        assert folded == 1
    assert np.array_equal(run(before), run(after))


def test_nothing_of_it_is_left() -> None:
    model = padded("Conv", (3, 3, 3, 3), zero=9)
    assert fold_pads(model) == 1
    expected = ["Transpose", "DequantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear"]
    assert kinds(model) == expected


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("Conv", {"sizes": (1, 1, 1, 1), "value": 1.0}),
        ("MaxPool", {"sizes": (1, 1, 1, 1), "zero": 5}),
        ("MaxPool", {"sizes": (3, 0, 0, 0)}),
        ("MaxPool", {"sizes": (2, 0, 0, 0), "own": (1, 0, 0, 0)}),
    ],
)
def test_what_would_give_other_integers_stays(operation: str, arguments: dict[str, Any]) -> None:
    model = padded(operation, **arguments)
    before = kinds(model)
    assert fold_pads(model) == 0
    assert kinds(model) == before


def test_what_another_operation_reads_stays() -> None:
    model = padded("Conv", (1, 1, 1, 1))
    model.graph.node.append(helper.make_node("Relu", ["d"], ["other"]))
    assert fold_pads(model) == 0
