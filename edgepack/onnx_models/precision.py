"""In which number format does an ``.onnx`` file compute that any tool may have made?"""

from collections.abc import Iterator
from typing import Any

from edgepack.contracts import Precision

KERNELS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Attention", "FusedConv", "FusedMatMul")
"""Operations whose inputs tell: activations, and weights where they are constants."""

DYNAMIC = (
    *("ConvInteger", "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulInteger"),
    *("MatMulIntegerToFloat", "MatMulInteger16"),
)
"""Operations of files whose activations are quantised while they run."""

MOVES = ("Cast", "Expand", "Flatten", "Identity", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operations that keep the numbers that they are given, between a kernel and what its input is stored as."""

STAYS_FLOAT = ("FLOAT", "DOUBLE")


def precision_of(model: Any) -> Precision | None:
    """Read off a graph what its kernels are fed, and what their weights are stored as.

    Both forms of quantised graphs are known: operations between DequantizeLinear and QuantizeLinear, and operations on
    integers (QLinearConv and the like). Integer activations decide, whatever else is in float around them; then
    activations that are quantised on the way; then weights.

    Args:
        model: `onnx.ModelProto`; its weights may be absent.

    Returns:
        None where it cannot be told: weights in 4 bits, in bfloat16, or in a type that no precision has.
    """
    import onnx

    name_of = onnx.TensorProto.DataType.Name
    graphs = list(_graphs(model.graph))
    stored = {tensor.name: name_of(tensor.data_type) for graph in graphs for tensor in graph.initializer}
    nodes = [node for graph in graphs for node in graph.node]
    made = {output: node for node in nodes for output in node.output}
    stored |= {
        node.output[0]: name_of(attribute.t.data_type)
        for node in nodes
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.HasField("t")
    }
    activations: set[str] = set()
    weights: set[str] = set()
    for node in nodes:
        if node.op_type.startswith("QLinear") or node.op_type in ("QGemm", "QAttention"):
            activations |= {stored[name] for name in node.input if "INT8" in stored.get(name, "")}
        elif node.op_type.startswith("MatMulNBits"):
            weights.add("INT4")
        elif node.op_type in KERNELS:
            for name in node.input:
                kind, constant = _stored_as(name, stored, made)
                (weights if constant else activations).add(kind)
    activations -= {"", *STAYS_FLOAT, "FLOAT16", "BFLOAT16"}
    weights -= {"", "INT32", "INT64", "BOOL"}
    if activations:
        return _of_integers(activations, weights)
    if any(node.op_type in DYNAMIC for node in nodes):
        return "dynamic_range"
    return _of_weights(weights or {stored[tensor] for tensor in stored} & {"FLOAT16", "BFLOAT16", "FLOAT"})


def _of_integers(activations: set[str], weights: set[str]) -> Precision | None:
    if not weights <= {"INT8", "UINT8", *STAYS_FLOAT, "FLOAT16"}:
        return None
    if activations <= {"INT8", "UINT8"}:
        return "int8"
    return "int16x8" if activations <= {"INT16", "UINT16", "INT8", "UINT8"} else None


def _of_weights(weights: set[str]) -> Precision | None:
    if weights <= {"FLOAT"}:
        return "float32"
    if weights <= {"FLOAT", "FLOAT16"}:
        return "float16"
    return "dynamic_range" if weights <= {"FLOAT", "INT8", "UINT8"} else None


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph, and those inside its branches and loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _stored_as(name: str, stored: dict[str, str], made: dict[str, Any]) -> tuple[str, bool]:
    """The type in which an input of a kernel is stored before it is dequantised, and whether it is a constant.

    The type is empty where nothing tells it: an activation in the kernel's own type.
    """
    kind = ""
    while name not in stored and name in made:
        node = made[name]
        if node.op_type == "DequantizeLinear":
            points = node.input[2] if len(node.input) > 2 else ""
            kind = stored.get(points, "UINT8")  # what ONNX takes an absent zero point for
        elif node.op_type not in MOVES or kind:
            break
        name = node.input[0]
    return (stored[name], True) if name in stored else (kind, False)
