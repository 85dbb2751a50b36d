"""How does padding become part of the operation behind it, where its integers are those of zero?"""

from dataclasses import dataclass
from typing import Any

from edgepack.onnx_models.nodes import pads_as_told, remove_attributes, whole_numbers


def fold_pads(model: Any) -> int:
    """Make padding with zeros part of the convolution or pooling behind it, in place; every integer stays what it is.

    A convolution pads with zeros by itself. Pooling pads with nothing, which is the same where no integer stands for
    less than zero. ONNX Runtime folds padding of float models, and computes that between quantised layers in float.

    Args:
        model: `onnx.ModelProto` with quantisation per tensor, the padding of which stands between a DequantizeLinear
            and a QuantizeLinear, with one Transpose of integers behind it at most.

    Returns:
        How many were folded.
    """
    folded = 0
    for pad in [node for node in model.graph.node if node.op_type == "Pad"]:
        found = _Place(model.graph).of(pad)
        if found is not None:
            found.fold(model.graph)
            folded += 1
    return folded


@dataclass(frozen=True)
class _Padding:
    """Padding that can be folded.

    Attributes:
        source: The integers that are padded.
        gone: The nodes that do it.
        entrances: What reads the padded integers, in the order of axes of the source.
        readers: Operations on their real numbers.
        pads: Sizes for each axis of space, all the sides before and then all behind, as the operations have them.
    """

    source: str
    gone: tuple[Any, ...]
    entrances: tuple[Any, ...]
    readers: tuple[Any, ...]
    pads: tuple[int, ...]

    def fold(self, graph: Any) -> None:
        """Let the readers pad, and read what was padded."""
        from onnx import helper

        for node in self.entrances:
            node.input[0] = self.source
        for node in self.readers:
            own = whole_numbers(node, "pads") or [0] * len(self.pads)
            remove_attributes(node, "pads", "auto_pad")
            node.attribute.append(helper.make_attribute("pads", [a + b for a, b in zip(own, self.pads, strict=True)]))
        for node in self.gone:
            graph.node.remove(node)


class _Place:
    """Looks for what is before and behind a node."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._outputs = {value.name for value in graph.output}

    def of(self, pad: Any) -> _Padding | None:
        """The padding that a node does, None where it must stay."""
        sizes = self._zeros(pad)
        entrance = next((node for node in self._graph.node if pad.input[0] in node.output), None)
        behind = self._readers(pad.output[0])
        if sizes is None or entrance is None or [node.op_type for node in behind] != ["QuantizeLinear"]:
            return None
        (leave,) = behind
        same = list(leave.input[1:])
        entrances = last = self._readers(leave.output[0])
        if [node.op_type for node in entrances] == ["Transpose"]:
            order = whole_numbers(entrances[0], "perm")
            sizes = [sizes[side + axis] for side in (0, len(order)) for axis in order]
            last = self._readers(entrances[0].output[0])
        quantised = [entrance, *last]
        if any(node.op_type != "DequantizeLinear" or list(node.input[1:]) != same for node in quantised):
            return None
        half = len(sizes) // 2
        pads = tuple(sizes[2:half] + sizes[half + 2 :])
        batch_and_channels = sizes[:2] + sizes[half : half + 2]
        readers = [reader for node in last for reader in self._readers(node.output[0])]
        if not readers or any(batch_and_channels) or not all(self._can_pad(node, pads, same) for node in readers):
            return None
        alone = len(self._readers(pad.input[0])) == 1
        return _Padding(
            entrance.input[0], (pad, leave, *([entrance] if alone else [])), tuple(entrances), tuple(readers), pads
        )

    def _zeros(self, pad: Any) -> list[int] | None:
        """Sizes of a padding with constant zeros that makes every axis as long as before at least."""
        given = [self._array(name) for name in pad.input[1:] if name]
        mode = next((a.s for a in pad.attribute if a.name == "mode"), b"constant")
        if mode != b"constant" or not 1 <= len(given) <= 2 or any(array is None for array in given):
            return None
        sizes = [int(size) for size in given[0]]
        return None if min(sizes) < 0 or any(float(value) != 0 for value in given[1:]) else sizes

    def _can_pad(self, node: Any, pads: tuple[int, ...], quantisation: list[str]) -> bool:
        """Whether an operation gives the same when it pads by itself."""
        import numpy as np

        if node.op_type not in ("Conv", "MaxPool") or not pads_as_told(node):
            return False
        if node.op_type == "Conv":
            return True
        zero_point = self._array(quantisation[1]) if len(quantisation) > 1 else np.uint8(0)
        lowest = zero_point is not None and int(zero_point) == np.iinfo(zero_point.dtype).min
        kernel, own = whole_numbers(node, "kernel_shape"), whole_numbers(node, "pads") or [0] * len(pads)
        # A window that lies in the padding alone would find nothing.
        within = all(a + b < size for a, b, size in zip(own, pads, [*kernel, *kernel], strict=True))
        rounded_up = any(a.name == "ceil_mode" and a.i for a in node.attribute)
        return lowest and within and not rounded_up and len(node.output) == 1

    def _array(self, name: str) -> Any:
        import onnx

        return onnx.numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def _readers(self, name: str) -> list[Any]:
        """Nodes that read a tensor, none where it is also an output."""
        return [] if name in self._outputs else [node for node in self._graph.node if name in node.input]
