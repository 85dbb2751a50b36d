"""How does an existing NVIDIA Triton serve a bundle's .onnx files: as a model repository?"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgepack.clusters import File, Workload
from edgepack.clusters._pbtxt import Word, dump
from edgepack.errors import VerificationError
from edgepack.runner.tensors import TensorSpec

IMAGE = False
NEEDS: tuple[str, ...] = ()

TYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "float64": "TYPE_FP64",
    "bool": "TYPE_BOOL",
    **{f"int{bits}": f"TYPE_INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"TYPE_UINT{bits}" for bits in (8, 16, 32, 64)},
}
"""Triton's names of numpy's types (https://github.com/triton-inference-server/common, ``model_config.proto``)."""

MAX_BATCH = 32
"""Samples that Triton joins at most, where a model takes any number of them."""

QUEUE_DELAY_US = 100
"""How long a request waits for others to be joined with."""

LABELS = "labels.txt"
LONGEST_NAME = 100


def unsuitable(workload: Workload) -> str | None:
    """Triton has no LiteRT."""
    if _onnx(workload):
        return None
    return "no .onnx file in it passed verification; Triton runs those"


def files(workload: Workload) -> dict[str, File]:
    """One model for each .onnx file: configuration, labels, and the file itself as version 1."""
    made: dict[str, File] = {}
    for artifact in _onnx(workload):
        name = model_name(workload.manifest["name"], artifact["precision"])
        made[f"{name}/config.pbtxt"] = _head(workload, artifact) + dump(_config(workload, artifact, name))
        made[f"{name}/1/model.onnx"] = workload.bundle / artifact["file"]
        if _has_labels(workload):
            made[f"{name}/{LABELS}"] = "".join(f"{_one_line(label)}\n" for label in workload.manifest["labels"])
    return made


def model_name(recipe: str, precision: str) -> str:
    """What clients call the model: ``digits_int8``."""
    return re.sub(r"\W+", "_", f"{recipe[:LONGEST_NAME]}_{precision}", flags=re.ASCII)


def _onnx(workload: Workload) -> list[Mapping[str, Any]]:
    return [artifact for artifact in workload.artifacts if artifact["format"] == "onnx"]


def _head(workload: Workload, artifact: Mapping[str, Any]) -> str:
    """What a client has to know that the configuration has no field for."""
    before = workload.manifest["preprocessing"]
    lines = [
        f"{workload.title}, {artifact['file']}. Made by edgepack.",
        f"Feed x * {before['scale']} + {before['offset']}, x being raw values.",
    ]
    for kind in ("inputs", "outputs"):
        lines.extend(
            f"{kind[:-1]} {tensor.name}: real value = ({tensor.dtype} - {tensor.zero_point}) * {tensor.scale}"
            for tensor in map(TensorSpec.from_dict, artifact[kind])
            if tensor.quantised
        )
    return "".join(f"# {_one_line(line)}\n" for line in lines)


def _config(workload: Workload, artifact: Mapping[str, Any], name: str) -> dict[str, Any]:
    inputs, outputs = ([TensorSpec.from_dict(item) for item in artifact[key]] for key in ("inputs", "outputs"))
    batches = all(tensor.shape[:1] == (-1,) for tensor in (*inputs, *outputs))
    config: dict[str, Any] = {
        "name": name,
        "backend": "onnxruntime",
        "max_batch_size": MAX_BATCH if batches else 0,
        "input": [_tensor(tensor, batches) for tensor in inputs],
        "output": [_tensor(tensor, batches) for tensor in outputs],
        "instance_group": [{"kind": Word("KIND_GPU" if workload.gpu else "KIND_CPU"), "count": 1}],
    }
    if _has_labels(workload):
        config["output"][0]["label_filename"] = LABELS
    if batches:
        config["dynamic_batching"] = {"max_queue_delay_microseconds": QUEUE_DELAY_US}
    if workload.gpu:
        config["optimization"] = {"execution_accelerators": {"gpu_execution_accelerator": [{"name": "tensorrt"}]}}
    threads = {"intra_op_thread_count": workload.resources.cpus, "inter_op_thread_count": 1}
    config["parameters"] = [{"key": key, "value": {"string_value": str(value)}} for key, value in threads.items()]
    return config


def _tensor(tensor: TensorSpec, batches: bool) -> dict[str, Any]:
    if tensor.dtype not in TYPES:
        raise VerificationError(
            f"Triton knows no type {tensor.dtype!r} of the tensor {tensor.name!r}; expected one of: {', '.join(TYPES)}",
            fix="leave triton out, or export the model with other ends",
        )
    dims = list(tensor.shape[1:] if batches else tensor.shape)
    # A tensor of shape (batch,) has nothing behind the batch axis, and Triton no empty list.
    shapeless = {"dims": [1], "reshape": {"shape": []}}
    return {"name": tensor.name, "data_type": Word(TYPES[tensor.dtype]), **({"dims": dims} if dims else shapeless)}


def _has_labels(workload: Workload) -> bool:
    """Whether outputs have one value for each label, which Triton's classification extension then names."""
    labels: Sequence[str] = workload.manifest["labels"]
    return workload.manifest["task"] == "classification" and all(
        TensorSpec.from_dict(artifact["outputs"][0]).shape[1:] == (len(labels),) for artifact in _onnx(workload)
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
