"""Tiny real models and bundles, made here; ONNX only, as TensorFlow stays out of the unit tests."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgepack.runner
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session
from edgepack.runner.tensors import TensorSpec

RUNNER = Path(edgepack.runner.__file__).parent
WEIGHTS = np.array([[1, -1, 0.5], [0, 2, -1], [-0.5, 0.25, 1], [1, 1, -2]], dtype=np.float32)
INPUT = TensorSpec("x", (1, 4), "int8", 0.03125, -3)
OUTPUT = TensorSpec("y", (1, 3), "int8", 0.00390625, -128)


def _save(path: Path, nodes: list[Any], source: Any, target: Any, weights: list[Any], **metadata: str) -> Path:
    graph = helper.make_graph(nodes, "tiny", [source], [target], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``softmax(x @ WEIGHTS)`` in float32 with a dynamic batch."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Softmax", ["m"], ["y"])]
    return _save(
        tmp_path_factory.mktemp("models") / "model.float32.onnx",
        nodes,
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3]),
        [numpy_helper.from_array(WEIGHTS, "w")],
    )


def save_int8(path: Path, *, batch: int = 1, recorded: str | None = None) -> Path:
    """The same function with int8 input and output and a fixed batch; its scales are in its metadata."""
    specs = {"edgepack.inputs": INPUT, "edgepack.outputs": OUTPUT}
    metadata = {key: recorded or json.dumps([asdict(spec)]) for key, spec in specs.items()}
    weights = [numpy_helper.from_array(WEIGHTS, "w")]
    for spec in (INPUT, OUTPUT):
        weights.append(numpy_helper.from_array(np.array(spec.scale, np.float32), f"{spec.name}_scale"))
        weights.append(numpy_helper.from_array(np.array(spec.zero_point, np.int8), f"{spec.name}_zero"))
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["real"]),
        helper.make_node("MatMul", ["real", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["s"]),
        helper.make_node("QuantizeLinear", ["s", "y_scale", "y_zero"], ["y"]),
    ]
    return _save(
        path,
        nodes,
        helper.make_tensor_value_info("x", TensorProto.INT8, [batch, 4]),
        helper.make_tensor_value_info("y", TensorProto.INT8, [batch, 3]),
        weights,
        **metadata,
    )


@pytest.fixture(scope="session")
def int8_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_int8(tmp_path_factory.mktemp("models") / "model.int8.onnx")


@pytest.fixture(scope="session")
def samples() -> np.ndarray:
    return np.random.default_rng(7).uniform(-2, 2, (6, 4)).astype(np.float32)


@pytest.fixture
def bundle(tmp_path: Path, float_model: Path, int8_model: Path, samples: np.ndarray) -> Path:
    """A bundle with both models, as the pipeline leaves it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    arrays: dict[str, Any] = {"input": samples, "label": np.zeros(len(samples), np.int64)}
    artifacts = []
    for model in (float_model, int8_model):
        file = Path(shutil.copy(model, folder))
        with open_session("onnxruntime", file) as session:
            arrays[f"output/{file.name}/onnxruntime"], _ = predict(session, samples)
            inputs, outputs = [s.to_dict() for s in session.inputs], [s.to_dict() for s in session.outputs]
        artifacts.append(
            {
                "file": file.name,
                "format": "onnx",
                "precision": file.name.split(".")[1],
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "size_bytes": file.stat().st_size,
                "runtimes": ["onnxruntime"],
                "inputs": inputs,
                "outputs": outputs,
                "tolerance": {"max_abs": 0.02, "top1": 0.8},
            }
        )
    save_golden(folder, arrays)
    manifest = {
        "schema": "edgepack.manifest/1",
        "threads": 1,
        "artifacts": artifacts,
        "golden": {"file": "golden.npz", "samples": len(samples)},
        "files": {"golden.npz": hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def save_golden(folder: Path, arrays: dict[str, Any]) -> None:
    """Write ``golden.npz`` and, if there is a manifest, its hash in there."""
    np.savez(folder / "golden.npz", **arrays)
    if (folder / "manifest.json").exists():
        digest = hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()
        edit(folder, lambda manifest: manifest["files"].update({"golden.npz": digest}))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest in place."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the runner alone, as package ``runner``, with two sessions added that misbehave.

    That these two files are all that it takes is the contract of a runtime.
    """
    folder = tmp_path_factory.mktemp("device")
    shutil.copytree(RUNNER, folder / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    for name, deed in {
        "crashing": "os.kill(os.getpid(), signal.SIGSEGV)",
        "hanging": "time.sleep(600)",
        "odd": "raise KeyError('what a runtime may throw')",
        "chatty": "os.write(1, b'native noise')",
    }.items():
        (folder / "runner/sessions" / f"{name}.py").write_text(
            "import os, signal, time\n"
            "from .onnxruntime import EXCLUDE, FORMAT, MODULE, REQUIREMENTS, version\n"
            "from .onnxruntime import Session as Real\n"
            "class Session(Real):\n"
            "    def __init__(self, path, threads=1):\n"
            f"        {deed}\n"
            "        super().__init__(path, threads)\n"
        )
    return folder
