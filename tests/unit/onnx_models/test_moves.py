"""Does what moves integers in front of a layer leave that layer in integers, and every integer what it is?"""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgepack.onnx_models.moves import quantise_moves


def convolution(move: str = "Transpose", *, dtype: Any = np.uint8, also_out: bool = False) -> Any:
    """`image` (1, 8, 8, 3) in integers, turned or reshaped, through a quantised convolution to `y` (1, 4, 8, 8)."""
    first = {
        "Transpose": helper.make_node("Transpose", ["image"], ["turn"], perm=[0, 3, 1, 2]),
        "Reshape": helper.make_node("Reshape", ["image", "shape"], ["turn"]),
    }
    rng = np.random.default_rng(0)
    constants = {
        "scale": np.float32(1 / 255),
        "zero": dtype(7),
        "weights": rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        "weight_scale": np.float32(0.01),
        "weight_zero": np.int8(0),
        "y_scale": np.float32(0.05),
        "shape": np.array([1, 3, 8, 8]),
    }
    nodes = [
        first[move],
        helper.make_node("DequantizeLinear", ["turn", "scale", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["c", "y_scale", "zero"], ["y"]),
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    outputs = [helper.make_tensor_value_info("y", kind, [1, 4, 8, 8])]
    if also_out:
        outputs.append(helper.make_tensor_value_info("turn", kind, [1, 3, 8, 8]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", kind, [1, 8, 8, 3])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def session(model: Any, *, optimised: Path | None = None) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimised:
        options.optimized_model_filepath = str(optimised)
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize("move", ["Transpose", "Reshape"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_the_same_integers_come_out(dtype: Any, move: str) -> None:
    before, after = convolution(move, dtype=dtype), convolution(move, dtype=dtype)
    assert quantise_moves(after) == 1
    image = np.random.default_rng(1).integers(0, 128, (1, 8, 8, 3)).astype(dtype)
    one, two = (session(model).run(None, {"image": image})[0] for model in (before, after))
    assert np.array_equal(one, two)
    assert len(np.unique(one)) > 20


@pytest.mark.parametrize("move", ["Transpose", "Reshape"])
def test_onnx_runtime_fuses_it_as_before(tmp_path: Path, move: str) -> None:
    kinds = []
    for moved in (False, True):
        model = convolution(move)
        if moved:
            quantise_moves(model)
        session(model, optimised=tmp_path / "optimised.onnx")
        kinds.append(sorted(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node))
    assert kinds[0] == kinds[1]
    assert not {"DequantizeLinear", "Conv"} & set(kinds[1])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="which layers OpenVINO has integers for is the processor's")
@pytest.mark.parametrize("move", ["Transpose", "Reshape"])
def test_openvino_computes_the_layer_behind_it_in_integers(move: str) -> None:
    openvino = pytest.importorskip("openvino", reason="an optional runtime")
    model = convolution(move)
    quantise_moves(model)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU")
    (layer,) = (n for n in compiled.get_runtime_model().get_ops() if n.rt_info["layerType"] == "Convolution")
    assert layer.rt_info["runtimePrecision"] in ("u8", "i8")


def test_what_is_read_in_other_ways_stays() -> None:
    assert quantise_moves(convolution(also_out=True)) == 0
