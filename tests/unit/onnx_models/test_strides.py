"""Are pixels that several convolutions skip skipped once, in integers, with every result as it was?"""

import platform
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgepack.onnx_models.strides import share_strides


def block(*strides: int, kernel: int = 1) -> Any:
    """`x` (1, 8, 9, 9) in integers, read by one convolution for each stride; the outputs are `y0`, `y1` ..."""
    rng = np.random.default_rng(0)
    pads = [kernel // 2] * 4
    constants = {"s": np.float32(0.1), "z": np.uint8(9), "kz": np.int8(0), "ks": np.float32(0.01)}
    # The first layer makes integers of its own: not every runtime treats an input as it treats what a layer gives.
    constants["first"] = rng.integers(-127, 128, (8, 8, 1, 1)).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["first", "ks", "kz"], ["w"]),
        helper.make_node("Conv", ["a", "w"], ["b"], kernel_shape=[1, 1]),
        helper.make_node("QuantizeLinear", ["b", "s", "z"], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["d"]),
    ]
    for number, stride in enumerate(strides):
        constants[f"k{number}"] = rng.integers(-127, 128, (16, 8, kernel, kernel)).astype(np.int8)
        convolution = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        nodes += [
            helper.make_node("DequantizeLinear", [f"k{number}", "ks", "kz"], [f"w{number}"]),
            helper.make_node("Conv", ["d", f"w{number}"], [f"e{number}"], **convolution),
            helper.make_node("QuantizeLinear", [f"e{number}", "s", "z"], [f"y{number}"]),
        ]
    kind = onnx.TensorProto.UINT8
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [1, 8, 9, 9])],
        [helper.make_tensor_value_info(f"y{n}", kind, [1, 16, f"h{n}", f"w{n}"]) for n in range(len(strides))],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: Any) -> list[Any]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    x = np.random.default_rng(1).integers(0, 256, (1, 8, 9, 9)).astype(np.uint8)
    return list(session.run(None, {"x": x}))


@pytest.mark.parametrize("strides", [(2, 2), (3, 3, 3), (2, 2, 1)])
def test_the_same_integers_come_out(strides: tuple[int, ...]) -> None:
    before, after = block(*strides), block(*strides)
    assert share_strides(after) == 1
    assert sum(node.op_type == "MaxPool" for node in after.graph.node) == 1
    for one, two in zip(run(before), run(after), strict=True):
        assert np.array_equal(one, two)
        assert len(np.unique(one)) > 20


@pytest.mark.parametrize(("strides", "kernel"), [((2,), 1), ((2, 3), 1), ((1, 1), 1), ((2, 1), 1), ((2, 2), 3)])
def test_what_does_not_skip_the_same_pixels_stays(strides: tuple[int, ...], kernel: int) -> None:
    model = block(*strides, kernel=kernel)
    before = model.SerializeToString()
    assert share_strides(model) == 0
    assert model.SerializeToString() == before


@pytest.mark.skipif(platform.machine() != "x86_64", reason="which layers OpenVINO has integers for is the processor's")
def test_openvino_computes_them_in_integers() -> None:
    openvino = pytest.importorskip("openvino", reason="an optional runtime")
    model = block(2, 2)
    share_strides(model)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU")
    layers = [node.rt_info for node in compiled.get_runtime_model().get_ops()]
    kinds = [layer["runtimePrecision"] for layer in layers if layer["layerType"] == "Convolution"]
    assert len(kinds) == 3
    assert set(kinds[1:]) <= {"u8", "i8"}
