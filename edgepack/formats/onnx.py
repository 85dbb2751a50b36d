"""How does a model become an ``.onnx`` file, and how is an int8 one derived from the int8 ``.tflite``?"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from edgepack import contracts
from edgepack.contracts import ExportContext, Precision
from edgepack.errors import ConversionError
from edgepack.onnx_models.canonical import canonicalise
from edgepack.onnx_models.clips import move_clips
from edgepack.onnx_models.unsigned import SHIFT, make_unsigned
from edgepack.tflite_models.contents import tensor_names

SUFFIX = "onnx"
INT8 = 3  # onnx.TensorProto.INT8
UINT8 = 2  # onnx.TensorProto.UINT8
FLOAT = 1  # onnx.TensorProto.FLOAT


class Config(contracts.ExportConfig):
    """ONNX: float32 from the Keras model, int8 (QDQ) from the int8 ``.tflite`` file."""

    format: Literal["onnx"] = "onnx"
    opset: int = Field(17, ge=13, le=18, description="ONNX operator set; 13 is the first with per-channel QDQ")

    @field_validator("precision")
    @classmethod
    def _is_one_that_can_be_made(cls, precision: Precision) -> Precision:
        if precision not in ("float32", "int8"):
            raise ValueError(f"an onnx file is float32 or int8; {precision} is made by `format: tflite` only")
        return precision


def convert(config: Config, out: Path, *, context: ExportContext) -> None:
    """Convert; float32 has a dynamic batch axis, int8 the batch of the ``.tflite``.

    `tf2onnx.convert.from_keras` on a fake-quantised model succeeds and leaves the weights in float, so the int8 file
    is read from the int8 ``.tflite``: the same integers, scales and zero points.

    Raises:
        ConversionError: An operation has no ONNX counterpart, or a weight is not int8 in the int8 file.
    """
    import onnx

    if config.precision == "int8":
        source = context.other("tflite", "int8")
        graph = _from_tflite(source, config.opset)
        make_unsigned(graph)
        move_clips(graph)
        _describe(graph, source)
        require_int8_weights(graph)
        _own_zero_points(graph)
        canonicalise(graph, keep=tensor_names(source.read_bytes()))
    else:
        graph = _from_keras(context.float_model, config.opset)
        canonicalise(graph)
    graph.producer_version = ""
    onnx.checker.check_model(graph, full_check=True)
    out.write_bytes(graph.SerializeToString(deterministic=True))


def require_int8_weights(model: Any) -> None:
    """Check that every convolution and matrix product reads its weights from int8 numbers.

    Raises:
        ConversionError: One does not; the message names the node.
    """
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    weighted = 0
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            continue
        source = producers.get(node.input[1])
        while source is not None and source.op_type in ("Transpose", "Reshape", "Squeeze", "Unsqueeze"):
            source = producers.get(source.input[0])
        tensor = initializers.get(source.input[0]) if source is not None else None
        if source is None or source.op_type != "DequantizeLinear" or tensor is None or tensor.data_type != INT8:
            raise ConversionError(
                f"the weights of the ONNX node {node.name!r} ({node.op_type}) are not int8",
                fix="report this with the model; export float32 meanwhile",
            )
        weighted += 1
    front = _float_front(model)
    floats = [
        t.name
        for t in initializers.values()
        if t.data_type == FLOAT and _elements(t) > 1 and not _is_scale(t, model) and t.name not in front
    ]
    if not weighted or floats:
        raise ConversionError(
            f"the int8 ONNX file holds {weighted} int8 weights and the float tensors {floats}",
            fix="report this with the model; export float32 meanwhile",
        )


def _own_zero_points(model: Any) -> None:
    """Give each int8 weight a zero point of its own, in place.

    On processors where ONNX Runtime's products of 8 bits overflow it makes weights unsigned when asked to be exact (see
    `runner/sessions/_onnx.py`), and fails at the second weight with the same zero point.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        weight = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" and len(node.input) > 2 else None
        if weight is not None and weight.data_type == INT8:
            own = model.graph.initializer.add()
            own.CopyFrom(constants[node.input[2]])
            own.name = node.input[2] = f"{node.output[0]}.zero_point"


def _from_keras(path: Path, opset: int) -> Any:
    import tf2onnx

    from edgepack.keras_models.load import load
    from edgepack.keras_models.serving import serving

    model = load(path)
    traced = serving(model, batch=None)
    try:
        graph, _ = tf2onnx.convert.from_function(traced.function, [traced.signature], opset=opset)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"ONNX conversion of {model.name!r} failed: {first}", fix="replace the layer that it names"
        ) from error
    _rename(graph, [traced.input_name], [traced.output_name])
    return graph


def _from_tflite(path: Path, opset: int) -> Any:
    import tf2onnx

    try:
        graph, _ = tf2onnx.convert.from_tflite(str(path), opset=opset)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"ONNX conversion of the int8 .tflite failed: {first}", fix="export float32 meanwhile"
        ) from error
    return graph


def _describe(graph: Any, source: Path) -> None:
    """Name inputs and outputs as the ``.tflite`` does and keep their scales in the file's metadata."""
    from edgepack.formats.tflite import tensor_specs

    inputs, outputs = tensor_specs(source)
    _rename(graph, [spec["name"] for spec in inputs], [spec["name"] for spec in outputs])
    for key, specs, values in (
        ("edgepack.inputs", inputs, graph.graph.input),
        ("edgepack.outputs", outputs, graph.graph.output),
    ):
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, json.dumps([_typed(*pair) for pair in zip(specs, values, strict=True)])


def _typed(spec: dict[str, Any], value: Any) -> dict[str, Any]:
    """A tensor of the ``.tflite`` as the graph has it: its integers may be unsigned there."""
    if spec["dtype"] != "int8" or value.type.tensor_type.elem_type != UINT8:
        return spec
    return {**spec, "dtype": "uint8", "zero_point": spec["zero_point"] + SHIFT}


def _rename(model: Any, inputs: list[str], outputs: list[str]) -> None:
    names = {}
    for values, wanted in ((model.graph.input, inputs), (model.graph.output, outputs)):
        for value, name in zip(values, wanted, strict=True):
            names[value.name] = name
            value.name = name
            batch = value.type.tensor_type.shape.dim[0]
            if not batch.HasField("dim_value"):
                batch.dim_param = "batch"
    for node in model.graph.node:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)


def _float_front(model: Any) -> set[str]:
    """What the operations read that stand between a float input and the first QuantizeLinear, see `formats.tflite`."""
    known = {tensor.name for tensor in model.graph.initializer}
    known |= {value.name for value in model.graph.input if value.type.tensor_type.elem_type == FLOAT}
    read: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") and known.issuperset(node.input):
            known.update(node.output)
            read.update(node.input)
    return read


def _elements(tensor: Any) -> int:
    count = 1
    for axis in tensor.dims:
        count *= axis
    return count


def _is_scale(tensor: Any, model: Any) -> bool:
    uses = [
        (node.op_type, list(node.input).index(tensor.name)) for node in model.graph.node if tensor.name in node.input
    ]
    return bool(uses) and all(op in ("QuantizeLinear", "DequantizeLinear") and slot == 1 for op, slot in uses)
