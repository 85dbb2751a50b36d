"""How is an int8 graph derived from the int8 ``.tflite``: the same integers, in the form that runs fast?"""

from pathlib import Path
from typing import Any

from edgepack.errors import ConversionError
from edgepack.onnx_models.canonical import canonicalise
from edgepack.onnx_models.clips import move_clips
from edgepack.onnx_models.ends import describe
from edgepack.onnx_models.moves import quantise_moves
from edgepack.onnx_models.pads import fold_pads
from edgepack.onnx_models.strides import share_strides
from edgepack.onnx_models.unsigned import make_operands_unsigned, make_unsigned

INT8 = 3  # onnx.TensorProto.INT8
FLOAT = 1  # onnx.TensorProto.FLOAT
PREQUANT = "_prequant"
"""What tf2onnx hangs on the name of a tensor of the ``.tflite`` for its real numbers."""


def from_tflite(path: Path, *, opset: int, layout: str | None = None, mixed: bool = False) -> Any:
    """Convert an int8 ``.tflite`` to a graph with the same weights, scales and zero points.

    Activations are unsigned, see `unsigned`; limits, padding, strides and what moves integers do not hinder fusing, see
    `clips`, `pads`, `strides` and `moves`.

    Args:
        path: The file; its inputs and outputs are int8, or float32 in front of the first layer.
        opset: ONNX operator set.
        layout: ``"nchw"`` for an input whose channels stand behind the batch axis; None = as in the file.
        mixed: Some layers of the file are meant to be in float.

    Raises:
        ConversionError: An operation has no ONNX counterpart, or a weight would not be int8.
    """
    import tf2onnx

    from edgepack.onnx_models.frugal import frugal
    from edgepack.tflite_models import contents

    content = path.read_bytes()
    turned = contents.input_names(content) if layout else None
    try:
        with frugal():
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=opset, inputs_as_nchw=turned)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"ONNX conversion of the int8 .tflite failed: {first}", fix="export float32 meanwhile"
        ) from error
    make_unsigned(model)
    make_operands_unsigned(model)
    move_clips(model)
    fold_pads(model)
    share_strides(model)
    quantise_moves(model)
    describe(model, *contents.tensor_specs(content), layout=layout)
    if not mixed:
        require_int8_weights(model)
    own_zero_points(model)
    names = contents.tensor_names(content)
    _give_back(model, names)
    canonicalise(model, keep=names)
    return model


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


def own_zero_points(model: Any) -> None:
    """Give each int8 weight a zero point of its own, in place.

    On processors where ONNX Runtime's products of 8 bits overflow it makes weights unsigned when asked to be exact (see
    `runner/sessions/_onnx.py`), and fails at the second weight with the same zero point.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or len(node.input) < 3:
            continue
        weight, zero_point = (constants.get(node.input[index]) for index in (0, 2))
        if weight is not None and weight.data_type == INT8 and zero_point is not None:
            own = model.graph.initializer.add()
            own.CopyFrom(zero_point)
            own.name = node.input[2] = f"{node.output[0]}.zero_point"


def _give_back(model: Any, names: set[str]) -> None:
    """Call what a QuantizeLinear gives by the name that it has in the ``.tflite``, in place.

    tf2onnx moves a Squeeze or Transpose behind it, and leaves the name with that, or with nothing. Layers are held
    against those of the ``.tflite`` by these names: two that seemed to be one would add up their roundings.
    """
    graph = model.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    outputs = {value.name for value in graph.output}
    new = {}
    for node in graph.node:
        name = node.input[0].removesuffix(PREQUANT) if node.op_type == "QuantizeLinear" else ""
        if name in names - taken and node.input[0].endswith(PREQUANT) and node.output[0] not in outputs:
            new[node.output[0]] = name
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]


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
