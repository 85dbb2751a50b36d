"""What is the smallest bundle that can be deployed?"""

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from edgepack import bundle, target

LABELS = ["circle", "square", "on"]


def write_bundle(
    folder: Path,
    name: str = "linux-amd64-cpu",
    *,
    recipe: str = "shapes",
    batch: int | str = "n",
    peak_mib: float | None = 80.0,
    choice: bool = False,
    status: str = "ok",
    **changed: Any,
) -> Path:
    """A bundle of one .onnx file, which adds three numbers to a row of three.

    Args:
        folder: The bundle's folder.
        name: A shipped target.
        recipe: The recipe's name.
        batch: Size of the batch axis, or its name.
        peak_mib: Memory that was measured on the host; None = nothing was measured.
        choice: Whether the manifest names what is to be served.
        status: Of the artifact in ``verify.json``.
        changed: Other values of the manifest.
    """
    import numpy as np

    source = folder.with_name(f"{folder.name}.onnx")
    source.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node("Add", ["row", "bias"], ["sum"])],
        "shapes",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [batch, 3])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(np.arange(3, dtype=np.float32), "bias")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), source)
    golden = folder.with_name(f"{folder.name}.npz")
    np.savez(golden, input=np.zeros((1, 3), np.float32))
    file, wanted = "model.float32.onnx", target.load(name)
    shape = [batch if isinstance(batch, int) else -1, 3]
    spec = {"shape": shape, "dtype": "float32", "scale": None, "zero_point": None}
    artifact = {
        "file": file,
        "format": "onnx",
        "precision": "float32",
        "sha256": bundle.file_digest(source),
        "size_bytes": source.stat().st_size,
        "runtimes": ["onnxruntime"],
        "inputs": [{"name": "row", **spec}],
        "outputs": [{"name": "sum", **spec}],
        "tolerance": {"max_abs": 1e-5, "top1": 1.0},
        "lineage": [],
    }
    manifest = {
        "schema": bundle.MANIFEST_SCHEMA,
        "name": recipe,
        "target": name,
        "platform": wanted.platform,
        "threads": wanted.threads,
        "smoke": False,
        "task": "classification",
        "recipe_sha256": "12e4" + "0" * 60,
        "target_spec": wanted.resolved(),
        "labels": LABELS,
        "preprocessing": {"scale": 0.5, "offset": -1.0},
        "columns": [],
        "artifacts": [artifact],
        "golden": {"file": "golden.npz", "samples": 1},
        **({"choice": {"artifact": file, "runtime": "onnxruntime"}} if choice else {}),
        **changed,
    }
    records = [{"file": file, "runtime": "onnxruntime", "status": status}]
    documents: dict[str, object] = {"verify.json": {"artifacts": records, "gates": []}}
    if peak_mib is not None:
        result = {"artifact": file, "runtime": "onnxruntime", "status": "ok", "peak_rss_mib": peak_mib}
        documents["latency.json"] = {
            "host": {"environment": {"emulated": False}, "results": [result]},
            "container": None,
        }
    bundle.publish(folder, files={file: source, "golden.npz": golden}, documents=documents, manifest=manifest)
    return folder
