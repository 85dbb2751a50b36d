import importlib.metadata
import importlib.util
import inspect
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgepack.runner import sessions
from edgepack.runner.errors import RunnerError, UsageError
from edgepack.runner.sessions import open_session, openvino
from edgepack.runner.tensors import TensorSpec

from .conftest import INPUT, OUTPUT, WEIGHTS, save_int8

DISTRIBUTIONS = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime", "openvino": "openvino"}
MICRO = pytest.mark.skipif(find_spec("tflite_micro") is None, reason="has wheels for Linux on x86-64 only")


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("name", sessions.names())
def test_each_session_module_keeps_its_contract(name: str) -> None:
    module = sessions.load(name)
    assert module.FORMAT in ("tflite", "onnx")
    assert "numpy" in module.REQUIREMENTS
    assert all(pattern and not pattern.startswith("/") for pattern in module.EXCLUDE)
    assert list(inspect.signature(module.Session).parameters)[:2] == ["path", "threads"]
    for method in ("set_inputs", "get_outputs", "run", "close", "__enter__", "__exit__", "details"):
        assert hasattr(module.Session, method)


def test_names_are_the_files_of_the_folder() -> None:
    assert sessions.names() == ("litert", "onnxruntime", "onnxruntime_gpu", "openvino", "tflite_micro")


@pytest.mark.parametrize(("name", "distribution"), DISTRIBUTIONS.items())
def test_what_is_excluded_is_there_and_what_is_needed_is_not_excluded(name: str, distribution: str) -> None:
    """An EXCLUDE pattern that matches nothing any more is a wheel that changed and an image that grew."""
    module = sessions.load(name)
    files = [str(file) for file in importlib.metadata.files(distribution) or ()]
    files += [str(file) for file in importlib.metadata.files("numpy") or ()]
    stale = [pattern for pattern in module.EXCLUDE if not any(fnmatch(file, pattern) for file in files)]
    assert stale == []
    kept = [file for file in files if not any(fnmatch(file, pattern) for pattern in module.EXCLUDE)]
    assert any(file.startswith("numpy/_core/_multiarray_umath") for file in kept)
    needed = {
        "litert": "ai_edge_litert/interpreter",
        "onnxruntime": "onnxruntime/capi/_pybind_state",
        "openvino": "openvino/libs/libopenvino_onnx_frontend",
    }
    assert any(file.startswith(needed[name]) for file in kept)


def test_an_unknown_runtime_or_option_names_the_known_ones(float_model: Path) -> None:
    with pytest.raises(UsageError, match="'tensorrt'; expected one of: litert, onnxruntime"):
        open_session("tensorrt", float_model)
    with pytest.raises(UsageError, match="kernels='fast'; expected one of: xnnpack, builtin, reference"):
        open_session("litert", float_model, kernels="fast")
    with pytest.raises(UsageError, match="threads=0"):
        open_session("onnxruntime", float_model, threads=0)
    with pytest.raises(UsageError, match=r"no file .*nowhere\.onnx"):
        open_session("onnxruntime", "nowhere.onnx")


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime", "openvino", pytest.param("tflite_micro", marks=MICRO)])
@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"not a model at all" * 20])
def test_a_corrupt_file_is_an_error_that_names_it(tmp_path: Path, runtime: str, content: bytes) -> None:
    path = tmp_path / f"broken.{sessions.load(runtime).FORMAT}"
    path.write_bytes(content)
    with pytest.raises(RunnerError, match=r"cannot load broken\."):
        open_session(runtime, path)


def test_a_bare_file_gets_the_first_runtime_that_is_installed() -> None:
    assert sessions.for_file(Path("a/MODEL.ONNX")) == "onnxruntime"
    assert sessions.for_file(Path("model.tflite")) == "litert"
    with pytest.raises(UsageError, match=r"model\.pt.*onnx, tflite"):
        sessions.for_file(Path("model.pt"))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_float_model_is_described_and_computed(float_model: Path, samples: np.ndarray, runtime: str) -> None:
    with open_session(runtime, float_model) as session:
        assert session.inputs == (TensorSpec("x", (-1, 4), "float32"),)
        assert session.outputs == (TensorSpec("y", (-1, 3), "float32"),)
        for batch in (1, 6, 2):  # another size binds anew
            got = session.run({"x": samples[:batch]})["y"]
            np.testing.assert_allclose(got, softmax(samples[:batch] @ WEIGHTS), rtol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_outputs_are_copies(float_model: Path, samples: np.ndarray, runtime: str) -> None:
    with open_session(runtime, float_model) as session:
        first = session.run({"x": samples[:1]})["y"]
        kept = first.copy()
        session.run({"x": samples[1:2]})
        np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_inputs_are_copied_and_read_again_by_each_call(float_model: Path, samples: np.ndarray, runtime: str) -> None:
    with open_session(runtime, float_model) as session:
        given = samples[:1].copy()
        session.set_inputs({"x": given})
        given[:] = np.nan
        session.invoke()
        first = session.get_outputs()["y"]
        session.set_inputs({"x": samples[1:2]})
        session.invoke()
        np.testing.assert_allclose(first, softmax(samples[:1] @ WEIGHTS), rtol=1e-5)
        np.testing.assert_allclose(session.get_outputs()["y"], softmax(samples[1:2] @ WEIGHTS), rtol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_scales_come_from_the_files_metadata(int8_model: Path, runtime: str) -> None:
    with open_session(runtime, int8_model) as session:
        assert session.inputs == (INPUT,)
        assert session.outputs == (OUTPUT,)


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        ("{nonsense", "metadata about its tensors cannot be read"),
        ("7", "metadata about its tensors cannot be read"),
        ('[{"name": "x"}]', "metadata about its tensors cannot be read"),
        ('[{"name": "x", "shape": [Infinity], "dtype": "int8"}]', "metadata about its tensors cannot be read"),
        ('[{"name": "x", "shape": [1, 4], "dtype": "uint8", "scale": 1, "zero_point": 0}]', "is int8.*uint8"),
    ],
)
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_metadata_that_lies_is_refused(tmp_path: Path, recorded: str, reason: str, runtime: str) -> None:
    path = save_int8(tmp_path / "model.onnx", recorded=recorded)
    with pytest.raises(RunnerError, match=reason):
        open_session(runtime, path)


def test_details_tell_what_really_runs(float_model: Path) -> None:
    with open_session("onnxruntime", float_model, threads=2) as session:
        assert session.details == {
            "version": importlib.metadata.version("onnxruntime"),
            "provider": "CPUExecutionProvider",
            "providers": ["CPUExecutionProvider"],
            "nodes": 2,
            "nodes_by_provider": {"CPUExecutionProvider": 2},
            "nodes_by": {"CPUExecutionProvider": 2},
        }


def test_openvino_tells_what_computes_in_integers(float_model: Path, int8_model: Path) -> None:
    with open_session("openvino", float_model, threads=2) as session:
        assert session.details["integer_nodes"] == 0
        assert session.details["float_nodes"] >= 2
        assert session.details["in_float"] == []
    with open_session("openvino", int8_model) as session:
        assert session.details["integer_nodes"] >= 1


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        ({"z": np.zeros((1, 4), np.float32)}, r"\['z'\]; expected \['x'\]"),
        ({}, r"\[\]; expected \['x'\]"),
        ({"x": np.zeros((1, 5), np.float32)}, r"\[1, 5\]; expected float32 \[-1, 4\]"),
        ({"x": np.zeros(4, np.float32)}, r"\[4\]; expected"),
        ({"x": np.zeros((1, 4))}, "float64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(float_model: Path, feed: dict[str, np.ndarray], reason: str) -> None:
    with open_session("onnxruntime", float_model) as session, pytest.raises(UsageError, match=reason):
        session.run(feed)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_closing_twice_is_safe_and_a_closed_session_says_so(float_model: Path, runtime: str) -> None:
    session = open_session(runtime, float_model)
    session.close()
    session.close()
    with pytest.raises(RunnerError, match="closed"):
        session.invoke()


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_invoke_before_inputs_says_so(float_model: Path, runtime: str) -> None:
    with open_session(runtime, float_model) as session, pytest.raises(RunnerError, match="set_inputs"):
        session.invoke()


gpu = importlib.metadata.packages_distributions().get("onnxruntime", []) == ["onnxruntime-gpu"]


@pytest.mark.skipif(gpu, reason="this machine has ONNX Runtime for GPUs")
def test_the_gpu_session_never_falls_back_silently(float_model: Path, samples: np.ndarray) -> None:
    with pytest.raises(RunnerError, match=r"expected TensorrtExecutionProvider or CUDAExecutionProvider"):
        open_session("onnxruntime_gpu", float_model)
    with open_session("onnxruntime_gpu", float_model, allow_cpu=True) as session:
        assert session.details["provider"] == "CPUExecutionProvider"
        session.run({"x": samples})


@pytest.mark.parametrize(
    ("cpuinfo", "cuts"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse2 avx2\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx_vnni\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_vnni\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
    ],
)
def test_processors_whose_sums_of_products_are_cut_are_known(tmp_path: Path, cpuinfo: str, cuts: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    assert openvino._cuts_products(path) is cuts
    assert not openvino._cuts_products(tmp_path / "none")


def test_openvino_says_of_a_file_in_integers_whether_its_sums_are_cut(int8_model: Path, float_model: Path) -> None:
    with open_session("openvino", float_model) as session:
        assert session.details["caution"] is None
    with open_session("openvino", int8_model) as session:
        expected = session.details["integer_nodes"] > 0 and openvino._cuts_products(Path("/proc/cpuinfo"))
        assert (session.details["caution"] is not None) is expected


def bright(path: Path) -> Path:
    """A convolution whose products of bytes, two by two, do not fit into 16 bits for an image that is white."""
    constants = {
        "s": np.float32(0.1),
        "z": np.uint8(0),
        "k": np.full((4, 8, 3, 3), 127, np.int8),
        "ks": np.float32(0.001),
        "kz": np.int8(0),
        "ys": np.float32(1.5),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["k", "ks", "kz"], ["w"]),
        helper.make_node("Conv", ["a", "w"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["b", "ys", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 8, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 4, 6, 6])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_no_processor_cuts_off_what_a_bright_image_gives_in_openvino(tmp_path: Path) -> None:
    x = np.full((1, 8, 6, 6), 255, np.uint8)
    with open_session("openvino", bright(tmp_path / "bright.onnx")) as session:
        found = session.run({"x": x})["y"]
    assert set(found.ravel().tolist()) == {round(255 * 0.1 * 0.127 * 8 * reached / 1.5) for reached in (4, 6, 9)}


def test_metadata_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = save_int8(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b"edgepack.inputs", b"edgepack.\xffnputs"))
    with pytest.raises(RunnerError, match=r"m\.onnx has names or metadata that are no text"):
        open_session("onnxruntime", path)
