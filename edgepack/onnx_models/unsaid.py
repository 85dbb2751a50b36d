"""What does an ``.onnx`` file from elsewhere not say that whoever feeds it real numbers must know?

ONNX has no place for the scale of an input or for the order of its axes; edgepack's runner reads both from metadata.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgepack.runner.tensors import NCHW, TensorSpec

INPUTS, OUTPUTS = "edgepack.inputs", "edgepack.outputs"


@dataclass(frozen=True)
class Unsaid:
    """Tensors of a graph with what the file does not say of them, and sentences that tell a person."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sentences: tuple[str, ...]


def find(model: Any, input_shape: Sequence[int], layout: str | None = None) -> Unsaid:
    """Find scales where a graph itself dequantises its input or quantises its output, and the order of axes.

    Args:
        model: `onnx.ModelProto`.
        input_shape: Shape of a sample, without the batch axis, channels last.
        layout: ``"nchw"`` or ``"nhwc"`` where it is known; None = channels stand first if samples fit only so.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    sentences: list[str] = []
    inputs, outputs = [], []
    for value in graph.input:
        if value.name not in constants:  # before IR version 4 weights are inputs, too
            readers = [node for node in graph.node if value.name in node.input]
            spec = _with_scale(_spec(value), readers, "DequantizeLinear", constants, sentences)
            inputs.append(_with_layout(spec, input_shape, layout, sentences))
    for value in graph.output:
        makers = [node for node in graph.node if value.name in node.output]
        outputs.append(_with_scale(_spec(value), makers, "QuantizeLinear", constants, sentences))
    return Unsaid(tuple(inputs), tuple(outputs), tuple(sentences))


def record(model: Any, found: Unsaid) -> None:
    """Write what was found into a model's metadata, in place, where edgepack's runner reads it."""
    for key, specs in ((INPUTS, found.inputs), (OUTPUTS, found.outputs)):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps([spec.to_dict() for spec in specs])


def is_recorded(model: Any) -> bool:
    """Whether a file has such metadata already: edgepack made it."""
    return any(entry.key in (INPUTS, OUTPUTS) for entry in model.metadata_props)


def _spec(value: Any) -> TensorSpec:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(int(axis.dim_value) if axis.HasField("dim_value") else -1 for axis in kind.shape.dim)
    return TensorSpec(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name)


def _with_scale(
    spec: TensorSpec, nodes: Sequence[Any], operation: str, constants: dict[str, Any], sentences: list[str]
) -> TensorSpec:
    """The scale that all nodes at one end of the graph agree on."""
    from onnx import numpy_helper

    found = set()
    for node in nodes:
        named = list(node.input[1:])
        if node.op_type != operation or not named or not all(name in constants for name in named):
            return spec
        values = [numpy_helper.to_array(constants[name]) for name in named]
        if any(value.size != 1 for value in values):
            return spec
        found.add((float(values[0].item()), int(values[1].item()) if len(values) > 1 else 0))
    if len(found) != 1:
        return spec
    ((scale, zero_point),) = found
    sentences.append(f"{spec.name!r} is {spec.dtype} with scale {scale:.6g} and zero point {zero_point}")
    return TensorSpec(**{**asdict(spec), "scale": scale, "zero_point": zero_point})


def _with_layout(spec: TensorSpec, input_shape: Sequence[int], layout: str | None, sentences: list[str]) -> TensorSpec:
    turned = TensorSpec(**{**asdict(spec), "layout": NCHW})
    if layout == "nhwc" or len(spec.shape) < 3 or len(spec.shape) != len(input_shape) + 1:
        return spec
    if layout is None and (_fits(spec.sample_shape, input_shape) or not _fits(turned.sample_shape, input_shape)):
        return spec
    sentences.append(f"{spec.name!r} takes channels first")
    return turned


def _fits(shape: Sequence[int], input_shape: Sequence[int]) -> bool:
    return all(axis in (-1, size) for axis, size in zip(shape[1:], input_shape, strict=True))
