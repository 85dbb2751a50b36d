"""How do int8 activations become uint8 ones that stand for the same numbers?

ONNX Runtime's x86 kernels take unsigned activations and signed weights; signed activations stay a dequantisation, a
float operation and a quantisation. A shift of both integer and zero point by 128 leaves every number as it is.
"""

from collections.abc import Iterable
from typing import Any

SHIFT = 128
MOVES = ("Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
"""Operations that put integers elsewhere and do not look at them."""
OPERATIONS = ("Add", "Div", "Max", "Min", "Mul", "Sub")
"""Operations whose constant is an operand like the other, and no weight."""


def make_unsigned(model: Any) -> set[str]:
    """Re-type the int8 activations of a graph to uint8, in place; weights stay int8.

    A tensor stays signed, and whatever is joined to it by an operation that moves integers, where an operation that is
    none of QuantizeLinear, DequantizeLinear and `MOVES` makes or reads it.

    Args:
        model: `onnx.ModelProto` with quantisation written as QuantizeLinear and DequantizeLinear.

    Returns:
        Names of the tensors that are uint8 now; the graph's inputs and outputs may be among them.
    """
    import onnx

    graph = model.graph
    signed = _signed_activations(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shifted: dict[str, str] = {}
    for node in graph.node:
        activation = {"QuantizeLinear": node.output[0], "DequantizeLinear": node.input[0]}.get(node.op_type)
        if activation not in signed:
            continue
        if len(node.input) < 3:
            node.input.append("")
        old = node.input[2]
        if old not in shifted:
            values = onnx.numpy_helper.to_array(constants[old]) if old else None
            shifted[old] = f"{old or activation}.unsigned"
            graph.initializer.append(_shifted(values, shifted[old]))
        node.input[2] = shifted[old]
    for value in (*graph.input, *graph.output):
        if value.name in signed:
            value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    return signed


def make_operands_unsigned(model: Any) -> int:
    """Re-type int8 constants that are added to or multiplied with activations to uint8, in place.

    ONNX Runtime fuses such an operation only where both sides have one type. It also gives each reader of a constant a
    dequantisation of its own, and where it makes weights unsigned itself (`runner/sessions/_onnx.py`) fails at the
    second one of the same int8 constant.

    Args:
        model: As for `make_unsigned`.

    Returns:
        How many constants are uint8 now.
    """
    import onnx

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    count = 0
    for node in graph.node:
        tensor = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if (
            tensor is None
            or tensor.data_type != onnx.TensorProto.INT8
            or not readers[node.output[0]] <= set(OPERATIONS)
        ):
            continue
        zero_point = constants.get(node.input[2]) if len(node.input) > 2 else None
        for slot, values in ((0, tensor), (2, zero_point)):
            name = f"{node.output[0]}.unsigned.{slot}"
            array = None if values is None else onnx.numpy_helper.to_array(values)
            graph.initializer.append(_shifted(array, name))
            node.input[slot:] = [name, *node.input[slot + 1 :]]
        count += 1
    return count


def _shifted(values: Any, name: str) -> Any:
    """Int8 integers, or their zero point, as uint8 ones; None = a zero point of 0."""
    import numpy as np
    import onnx

    signed = np.zeros((), np.int8) if values is None else values
    return onnx.numpy_helper.from_array((signed.astype(np.int16) + SHIFT).astype(np.uint8), name)


def _signed_activations(graph: Any) -> set[str]:
    """Tensors of int8 that are not constants and of which every maker and reader can do with uint8."""
    import onnx

    kinds = _element_types(graph)
    fixed = _constants(graph)
    groups: list[set[str]] = []
    refused: set[str] = set()
    for node in graph.node:
        integers = {name for name in (*node.input, *node.output) if kinds.get(name) == onnx.TensorProto.INT8}
        activations = integers - fixed
        if node.op_type in MOVES and activations == integers:
            groups.append(activations)
        elif node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            refused |= activations
    signed = {name for name, kind in kinds.items() if kind == onnx.TensorProto.INT8} - fixed
    return signed - _joined(refused, groups)


def _constants(graph: Any) -> set[str]:
    """The constants, and what is only moved out of them."""
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in MOVES and fixed.issuperset(node.input):
            fixed.update(node.output)
    return fixed


def _element_types(graph: Any) -> dict[str, int]:
    """Element types of the tensors, as far as the inputs and the quantisation of the graph say them."""
    import onnx

    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            zero_point = node.input[2] if len(node.input) > 2 else ""
            kinds[node.output[0]] = kinds.get(zero_point, onnx.TensorProto.UINT8)
        elif node.op_type in MOVES and node.input[0] in kinds:
            kinds |= dict.fromkeys(node.output, kinds[node.input[0]])
    return kinds


def _joined(names: Iterable[str], groups: list[set[str]]) -> set[str]:
    """Names, and all that are in a group with one of them, or with one of those."""
    found = set(names)
    grown = True
    while grown:
        grown = False
        for group in groups:
            if group & found and not group <= found:
                found |= group
                grown = True
    return found
