from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgepack.runner.errors import UsageError
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session

from .conftest import OUTPUT, WEIGHTS, _save, save_int8
from .test_sessions import softmax


def test_float_predictions_are_the_functions_values(float_model: Path, samples: np.ndarray) -> None:
    with open_session("onnxruntime", float_model) as session:
        raw, real = predict(session, samples)
    assert raw.dtype == real.dtype == np.float32
    np.testing.assert_array_equal(raw, real)
    np.testing.assert_allclose(real, softmax(samples @ WEIGHTS), rtol=1e-5)


def test_int8_predictions_are_quantised_on_the_way_in_and_out(int8_model: Path, samples: np.ndarray) -> None:
    with open_session("onnxruntime", int8_model) as session:
        raw, real = predict(session, samples)
    assert raw.dtype == np.int8
    assert raw.shape == (6, 3)
    np.testing.assert_allclose(real, (raw.astype(float) + 128) * OUTPUT.scale, rtol=1e-6)
    np.testing.assert_allclose(real, softmax(samples @ WEIGHTS), atol=0.05)


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_a_fixed_batch_is_filled_up_and_changes_no_answer(
    tmp_path: Path, int8_model: Path, samples: np.ndarray, batch: int
) -> None:
    with open_session("onnxruntime", int8_model) as session:
        expected, _ = predict(session, samples)
    with open_session("onnxruntime", save_int8(tmp_path / "model.onnx", batch=batch)) as session:
        raw, _ = predict(session, samples)
    np.testing.assert_array_equal(raw, expected)


def test_an_output_without_a_batch_axis_counts_as_one_sample(tmp_path: Path, samples: np.ndarray) -> None:
    path = _save(
        tmp_path / "sum.onnx",
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, []),
        [],
    )
    with open_session("onnxruntime", path) as session:
        raw, _ = predict(session, samples)
    np.testing.assert_allclose(raw, samples.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (3, 5), (4,), (2, 2, 2)])
def test_samples_that_do_not_fit_are_refused(float_model: Path, shape: tuple[int, ...]) -> None:
    with (
        open_session("onnxruntime", float_model) as session,
        pytest.raises(UsageError, match="any number of samples, 4"),
    ):
        predict(session, np.zeros(shape, np.float32))


def test_two_outputs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "yz"],
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )
    with (
        open_session("onnxruntime", path) as session,
        pytest.raises(UsageError, match="1 inputs and 2 outputs"),
    ):
        predict(session, np.zeros((1, 4), np.float32))
