"""Which tensors of a model are quantised, and which of them must share one scale?

TensorFlow Lite computes in integers where it knows the range of every tensor that an operation writes. An activation
that is fused into the operation before it has no tensor of its own; an operation that only moves or picks values
(padding, max pooling, reshape) hands on its input's scale; concatenation and average pooling need the same scale on
both sides; sigmoid, tanh and softmax have scales that the specification fixes
(https://ai.google.dev/edge/litert/models/quantization_spec). This file writes that down for a `Graph`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from edgepack.keras_models.graph import Graph, Node
from edgepack.keras_models.table import KIND as TABLE

Granularity = Literal["tensor", "channel", "depthwise"]

KERNELS: dict[str, tuple[str, Granularity]] = {
    "Conv2D": ("kernel", "channel"),
    "Conv2DTranspose": ("kernel", "tensor"),
    "DepthwiseConv2D": ("depthwise_kernel", "depthwise"),
    "Dense": ("kernel", "tensor"),
}
"""Layers with a kernel: its attribute, and over what one scale reaches: the tensor, or one output channel."""

HANDS_ON = frozenset(
    (
        *("ActivityRegularization", "Cropping2D", "Dropout", "Flatten", "GaussianDropout", "GaussianNoise"),
        *("GlobalMaxPooling2D", "MaxPooling2D", "MirrorImages", "Permute", "RepeatVector", "Reshape"),
        *("SpatialDropout2D", "ZeroPadding2D"),
    )
)
"""Layers that move, drop or pick values: their output has their input's scale."""

SAME_SCALE = frozenset(("AveragePooling2D", "Concatenate", "Maximum", "Minimum", "UpSampling2D"))
"""Layers that compute, but need one scale for inputs and output."""

COMPUTES = frozenset(
    (
        *("Add", "Average", "ELU", "GlobalAveragePooling2D", "HardSwish", "LeakyReLU", "MirrorMean", "Multiply"),
        *("ReLU", "Rescaling", "Subtract"),
    )
)
"""Layers without weights to quantise whose output has a range of its own."""

FIXED: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}
"""Output range by activation, where the specification fixes it."""


@dataclass(frozen=True)
class Output:
    """How the tensor that a node makes is quantised.

    Attributes:
        scale: Name of the scale; nodes with the same name share one range.
        fixed: (low, high) when the range is not learned, else None.
    """

    scale: str
    fixed: tuple[float, float] | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of one node.

    Attributes:
        status: ``quantised``, ``passed through`` or ``blocked``.
        reason: Why, where it is not plain.
        kernel: Attribute of the kernel and its granularity, or None.
        output: How its tensor is quantised; None when it has none of its own or only hands on its input's.
    """

    status: Literal["quantised", "passed through", "blocked"]
    reason: str = ""
    kernel: tuple[str, Granularity] | None = None
    output: Output | None = None


def plan(graph: Graph, *, in_float: Collection[str] = ()) -> dict[str, Decision]:
    """Decide for every node of a lowered graph (see `lower`).

    Args:
        graph: The model; activations are layers of their own.
        in_float: Names of nodes that compute in float. What is fused into them does, too; the tensor between two of
            them is not quantised.
    """
    scales = _scales(graph)
    left = _with_fused(graph, in_float)
    return {name: _decide(graph, node, scales, left) for name, node in graph.nodes.items()}


def _with_fused(graph: Graph, names: Collection[str]) -> set[str]:
    """Nodes, and those that swallow their tensors."""
    found = set()
    for name in names:
        node: Node | None = graph.nodes.get(name)
        while node is not None:
            found.add(node.name)
            node = fuses_into(graph, node)
    return found


def fuses_into(graph: Graph, node: Node) -> Node | None:
    """The node that swallows this one's tensor: BatchNormalization behind a kernel, ReLU behind what can fuse it."""
    after = graph.only_consumer(node.name)
    if after is None or len(graph.calls(node.name)) > 1:
        return None
    if node.kind in KERNELS and is_folded(graph, after):
        return after
    if node.kind in KERNELS and after.kind == "Saturation":
        return after
    fusing = node.kind in KERNELS or node.kind in ("Add", "Multiply", "Subtract") or is_folded(graph, node)
    return after if fusing and is_fused_relu(after) else None


def is_fused_relu(node: Node) -> bool:
    """True for ReLU and ReLU6, which TensorFlow Lite fuses into the operation before them."""
    config = node.config
    plain = not config.get("negative_slope") and not config.get("threshold")
    return node.kind == "ReLU" and plain and config.get("max_value") in (None, 6.0)


def is_folded(graph: Graph, node: Node) -> bool:
    """True for BatchNormalization that directly follows a kernel that nobody else reads."""
    if node.kind != "BatchNormalization":
        return False
    before = graph.before(node)
    return before is not None and before.kind in KERNELS and graph.only_consumer(before.name) is node


def activation(node: Node) -> str | None:
    """Name of the function of an ``Activation`` or ``Softmax`` layer, or None."""
    if node.kind == "Activation":
        return str(node.config["activation"])
    return "softmax" if node.kind == "Softmax" else None


def _decide(graph: Graph, node: Node, scales: dict[str, str], in_float: Collection[str]) -> Decision:
    swallowed = fuses_into(graph, node)
    output = None if swallowed else Output(scales[node.name])
    if node.kind == "InputLayer":
        readers = graph.consumers(node.name)
        if readers and all(reader.kind == TABLE for reader in readers):
            return Decision("passed through", "raw columns, each with a range of its own: they stay in float")
        return Decision("passed through", "input", output=output)
    if node.kind == TABLE:
        return Decision("passed through", "makes features of raw columns, in float", output=output)
    if node.name in in_float:
        readers = graph.consumers(node.name)
        between = bool(readers) and all(reader.name in in_float for reader in readers)
        return Decision("passed through", "kept in float by the recipe", output=None if between else output)
    if node.kind in KERNELS:
        reason = f"fused with {swallowed.name}" if swallowed else ""
        return Decision("quantised", reason, KERNELS[node.kind], output)
    if node.kind in HANDS_ON:
        # With several readers the converter does not carry the scale across by itself; stating it changes no value.
        stated = output if len(graph.consumers(node.name)) > 1 else None
        return Decision("passed through", "moves or drops values, computes none", output=stated)
    if is_folded(graph, node):
        before = graph.before(node)
        assert before is not None
        return Decision("quantised", f"folded into {before.name}", output=output)
    if node.kind in COMPUTES or node.kind in SAME_SCALE:
        return Decision("quantised", output=output)
    if node.kind == "Saturation":
        return Decision("quantised", output=Output(scales[node.name], (node.config["low"], node.config["high"])))
    function = activation(node)
    if function in FIXED:
        last = graph.is_output(node.name)
        return Decision("quantised", output=None if last else Output(scales[node.name], FIXED[function]))
    if function == "linear":
        return Decision("passed through", "does nothing")
    what = f"activation {function!r}" if function else node.kind
    return Decision("blocked", f"{what} has no 8-bit form here: it is computed in float", output=output)


def _scales(graph: Graph) -> dict[str, str]:
    """The scale's name of every node's tensor, by union-find over those that must be the same."""
    parent = {name: name for name in graph.nodes}

    def find(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in graph.nodes.values():
        if node.shares:
            parent[find(node.name)] = find(node.shares)
        if node.kind in HANDS_ON or node.kind in SAME_SCALE or activation(node) == "linear":
            for ref in node.inputs:
                source = graph.nodes[ref.node]
                if activation(source) not in FIXED and source.kind != "Saturation":
                    parent[find(node.name)] = find(ref.node)
    return {name: find(name) for name in graph.nodes}
