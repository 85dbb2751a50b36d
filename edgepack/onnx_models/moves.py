"""How does an int8 graph turn or reshape integers so that the layer behind it stays in integers?"""

from typing import Any

MOVING = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operations that move numbers and leave each what it is."""


def quantise_moves(model: Any) -> int:
    """Write what moves integers between layers as real numbers that are moved and quantised again, in place.

    ``DequantizeLinear, Transpose, QuantizeLinear`` is the form in which quantisers write an operation on integers. ONNX
    Runtime makes the bare operation of it; OpenVINO computes the convolution behind a bare one in float: ResNet-8 takes
    280 in place of 252 microseconds on x86 with AVX2.

    Args:
        model: `onnx.ModelProto` with quantisation per tensor.

    Returns:
        How many were written anew.
    """
    from onnx import helper

    graph = model.graph
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    done = 0
    for move in [node for node in graph.node if node.op_type in MOVING]:
        behind = readers.get(move.output[0], [])
        parameters = {tuple(node.input[1:]) for node in behind}
        if move.output[0] in outputs or len(parameters) != 1 or any(n.op_type != "DequantizeLinear" for n in behind):
            continue
        (constants,) = parameters
        real, moved = f"{move.output[0]}/real", f"{move.output[0]}/moved"
        at = list(graph.node).index(move)
        graph.node.insert(at, helper.make_node("DequantizeLinear", [move.input[0], *constants], [real]))
        graph.node.insert(at + 2, helper.make_node("QuantizeLinear", [moved, *constants], [move.output[0]]))
        move.input[0], move.output[0] = real, moved
        done += 1
    return done
