"""How does the same ONNX graph get the same bytes?"""

import re
from collections.abc import Collection
from typing import Any

COUNTER = re.compile(r"__\d+")
MERGED = ("Cast", "Concat", "DequantizeLinear", "QuantizeLinear", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operations of which a layer has several that may be equal; the others keep the names of their layers."""


def canonicalise(model: Any, *, keep: Collection[str] = ()) -> None:
    """Give nodes an order and names that follow from the graph alone; changes the model in place.

    tf2onnx numbers its tensors with a counter and, where constants or nodes are equal, keeps whichever comes first out
    of a set: the same conversion gives other names each time. Here nodes are put in the order in which a walk from the
    outputs meets them, counters in names are dropped, what may have been merged is numbered in that order, and
    constants are named after the node that first uses them.

    Args:
        model: `onnx.ModelProto` whose graph has no sub-graphs. Names of inputs and outputs stay.
        keep: Further names that stay, of tensors that nodes make.
    """
    graph = model.graph
    nodes = _walk(graph)
    made = {output for node in nodes for output in node.output}
    names = {
        name: name for name in (*(value.name for value in (*graph.input, *graph.output)), *made.intersection(keep))
    }
    taken = set(names.values())

    def name(old: str, wanted: str) -> None:
        if not old or old in names:
            return
        unique, count = wanted, 1
        while unique in taken:
            count += 1
            unique = f"{wanted}_{count}"
        names[old] = unique
        taken.add(unique)

    constants = {tensor.name for tensor in graph.initializer}
    for node in nodes:
        for output in node.output:
            name(output, node.op_type if node.op_type in MERGED else COUNTER.sub("", output))
        for slot, source in enumerate(node.input):
            if source in constants:
                name(source, f"{names[node.output[0]]}.{slot}")
    for node in nodes:
        node.input[:] = [names.get(source, source) for source in node.input]
        node.output[:] = [names[output] if output else "" for output in node.output]
        node.name = node.output[0]
        if not node.domain:
            node.ClearField("domain")  # set to nothing and not set are the same, but not in bytes
        _replace(node.attribute, sorted(node.attribute, key=lambda attribute: attribute.name))
    used = sorted((names[tensor.name], index) for index, tensor in enumerate(graph.initializer) if tensor.name in names)
    tensors = [graph.initializer[index] for _, index in used]
    for (unique, _), tensor in zip(used, tensors, strict=True):
        tensor.name = unique
    _replace(graph.initializer, tensors)
    _replace(graph.node, nodes)
    del graph.value_info[:]
    graph.name = COUNTER.sub("", graph.name)


def _walk(graph: Any) -> list[Any]:
    """The nodes that the outputs need, each after those that it needs, in the order of its inputs."""
    producers = {output: node for node in graph.node for output in node.output}
    ordered: list[Any] = []
    done: set[str] = set()
    waiting = [(value.name, False) for value in reversed(graph.output)]
    while waiting:
        tensor, ready = waiting.pop()
        node = producers.get(tensor)
        if node is None or node.output[0] in done:
            continue
        if ready:
            done.add(node.output[0])
            ordered.append(node)
        else:
            waiting.append((tensor, True))
            waiting.extend((source, False) for source in reversed(node.input))
    return ordered


def _replace(field: Any, items: list[Any]) -> None:
    """Put messages into a repeated field in a new order."""
    copies = []
    for item in items:
        copy = type(item)()
        copy.CopyFrom(item)
        copies.append(copy)
    del field[:]
    field.extend(copies)
