"""How does a limit leave the way between an operation and its quantisation?

ONNX Runtime fuses an operation with the QuantizeLinear that follows it. A Relu or Clip in between, which the activation
function of the layer left, is in the way unless it is one that ONNX Runtime knows to be implied.
"""

from typing import Any


def move_clips(model: Any) -> int:
    """Take Relu and Clip between a number and its QuantizeLinear out, in place; the integers stay what they are.

    Rounding keeps the order of numbers, so that ``quantise(clip(x, low, high))`` is
    ``clip(quantise(x), quantise(low), quantise(high))``. Where the integers' own range implies that clip it is dropped,
    else integers are clipped.

    Args:
        model: `onnx.ModelProto` with quantisation per tensor, written as QuantizeLinear and DequantizeLinear.

    Returns:
        How many nodes were taken out.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, int] = {}
    for name in [name for node in graph.node for name in node.input] + [value.name for value in graph.output]:
        readers[name] = readers.get(name, 0) + 1
    gone = []
    for node in list(graph.node):
        clip = producers.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        if clip is None or readers[clip.output[0]] > 1:
            continue
        limits = _limits(clip, constants)
        if limits is None or any(name not in constants for name in node.input[1:3]):
            continue
        _clip_integers(graph, node, limits, constants)
        node.input[0] = clip.input[0]
        gone.append(clip)
    for clip in gone:
        graph.node.remove(clip)
    return len(gone)


def _limits(node: Any, constants: dict[str, Any]) -> tuple[float, float] | None:
    """Lowest and highest value that a node lets through; None when it is no clip with constant limits."""
    import onnx

    infinity = float("inf")
    if node.op_type == "Relu":
        return 0.0, infinity
    if node.op_type != "Clip" or any(name and name not in constants for name in node.input[1:]):
        return None
    given = [float(onnx.numpy_helper.to_array(constants[name])) if name else None for name in node.input[1:]]
    low, high = [*given, None, None][:2]
    return -infinity if low is None else low, infinity if high is None else high


def _clip_integers(graph: Any, node: Any, limits: tuple[float, float], constants: dict[str, Any]) -> None:
    """Clip what a QuantizeLinear gives, where its own range does not do that."""
    import numpy as np
    import onnx

    scale, zero_point = (onnx.numpy_helper.to_array(constants[name]) for name in node.input[1:3])
    span = np.iinfo(zero_point.dtype)
    steps = np.rint(np.asarray(limits, np.float32) / scale).astype(np.float64) + float(zero_point)
    lowest, highest = (int(step) for step in np.clip(steps, span.min, span.max))
    if (lowest, highest) == (span.min, span.max):
        return
    raw = f"{node.output[0]}.unclipped"
    names = [f"{node.output[0]}.lowest", f"{node.output[0]}.highest"]
    for name, value in zip(names, (lowest, highest), strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, zero_point.dtype), name))
    clip = onnx.helper.make_node("Clip", [raw, *names], [node.output[0]])
    node.output[0] = raw
    graph.node.insert(list(graph.node).index(node) + 1, clip)
