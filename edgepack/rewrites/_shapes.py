"""Which shape has every tensor of a graph, as far as that can be told without building it?"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from edgepack.keras_models.graph import Graph, Node, Ref

Shape = tuple[int | None, ...]

SAME = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "AlphaDropout",
        "BatchNormalization",
        "Dropout",
        "ELU",
        "GaussianDropout",
        "GaussianNoise",
        "HardSigmoid",
        "HardSwish",
        "LayerNormalization",
        "LeakyReLU",
        "Normalization",
        "PReLU",
        "ReLU",
        "Rescaling",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "ThresholdedReLU",
    }
)
"""Layers with one input and an output of the same shape."""

MERGES = frozenset(
    {
        "Add",
        "Average",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
    }
)
"""Layers that compute value by value from several inputs of one rank."""

ELEMENTWISE_OPS = frozenset(
    {
        "nn.relu",
        "nn.relu6",
        "nn.leaky_relu",
        "nn.silu",
        "nn.swish",
        "nn.sigmoid",
        "nn.tanh",
        "nn.softmax",
        "math.sigmoid",
        "math.tanh",
        "math.exp",
        "math.sqrt",
        "math.square",
        "math.negative",
        "math.abs",
        "clip_by_value",
        "identity",
        "stop_gradient",
        "cast",
    }
)
ARITHMETIC_OPS = frozenset(
    {
        "__operators__.add",
        "__operators__.subtract",
        "__operators__.mul",
        "__operators__.truediv",
        "math.add",
        "math.subtract",
        "math.multiply",
        "math.truediv",
        "math.divide",
        "math.maximum",
        "math.minimum",
    }
)


def shapes(graph: Graph) -> dict[Ref, Shape]:
    """Shapes with batch axis, open sizes as None; tensors of unknown layers are left out."""
    known: dict[Ref, Shape] = {}
    for node in graph.nodes.values():
        inputs = [known.get(ref) for ref in node.inputs]
        if node.kind == "InputLayer":
            known[Ref(node.name)] = tuple(node.config["batch_input_shape"])
        elif inputs and all(shape is not None for shape in inputs):
            found = _shape(node, [shape for shape in inputs if shape is not None], graph)
            if found is not None:
                known[Ref(node.name)] = found
    return known


def _shape(node: Node, inputs: Sequence[Shape], graph: Graph) -> Shape | None:
    if node.config.get("data_format") == "channels_first":
        return None
    if node.kind in SAME:
        return inputs[0]
    if node.kind in MERGES:
        return _broadcast(inputs)
    if node.kind == "TFOpLambda":
        function = node.config["function"]
        if function in ELEMENTWISE_OPS:
            return inputs[0]
        return _broadcast(inputs) if function in ARITHMETIC_OPS and _small_constants(node, inputs) else None
    rule = None if node.kind in graph.custom else RULES.get(node.kind)
    owner = graph.nodes[node.shares or node.name]
    return rule(owner, inputs) if rule else None


def _broadcast(inputs: Sequence[Shape]) -> Shape | None:
    """Shape of an element-wise result of tensors of one rank."""
    if len({len(shape) for shape in inputs}) != 1:
        return None
    return tuple(
        max((n for n in sizes if n != 1), key=lambda n: n or 0, default=1) for sizes in zip(*inputs, strict=True)
    )


def _small_constants(node: Node, inputs: Sequence[Shape]) -> bool:
    """True when no constant of the call is larger than its tensor, so that it does not set the result's shape."""
    import numpy as np

    values = [*node.args, *node.kwargs.values()]
    arrays = [np.asarray(value) for value in values if not isinstance(value, Ref | str | None)]
    last = inputs[0][-1]
    return all(array.size == 1 or (array.size == last and array.shape[-1] == last) for array in arrays)


def _kernel_moves(config: Any, shape: Shape, size: Any, strides: Any) -> Shape:
    """Spatial sizes behind a window that moves over them."""
    spatial = shape[1:-1]
    sizes, steps = _each(size, len(spatial)), _each(strides, len(spatial))
    rates = _each(config.get("dilation_rate", 1), len(spatial))
    if config["padding"] != "valid":
        return tuple(None if n is None else math.ceil(n / step) for n, step in zip(spatial, steps, strict=True))
    return tuple(
        None if n is None else max(0, math.ceil((n - (k - 1) * rate) / step))
        for n, k, step, rate in zip(spatial, sizes, steps, rates, strict=True)
    )


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return tuple(int(item) for item in value) if isinstance(value, list | tuple) else (int(value),) * rank


def _convolution(node: Node, inputs: Sequence[Shape]) -> Shape:
    config, shape = node.config, inputs[0]
    moved = _kernel_moves(config, shape, config["kernel_size"], config["strides"])
    if "filters" in config:
        return (shape[0], *moved, int(config["filters"]))
    channels = shape[-1]
    return (shape[0], *moved, None if channels is None else channels * int(config["depth_multiplier"]))


def _pooling(node: Node, inputs: Sequence[Shape]) -> Shape:
    config, shape = node.config, inputs[0]
    strides = config.get("strides") or config["pool_size"]
    return (shape[0], *_kernel_moves(config, shape, config["pool_size"], strides), shape[-1])


def _transposed(node: Node, inputs: Sequence[Shape]) -> Shape:
    shape = inputs[0]
    return (shape[0], *(None for _ in shape[1:-1]), int(node.config["filters"]))


def _global_pooling(node: Node, inputs: Sequence[Shape]) -> Shape:
    shape = inputs[0]
    kept = tuple(1 for _ in shape[1:-1]) if node.config.get("keepdims") else ()
    return (shape[0], *kept, shape[-1])


def _dense(node: Node, inputs: Sequence[Shape]) -> Shape:
    return (*inputs[0][:-1], int(node.config["units"]))


def _pairs(value: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(value, int):
        return [(value, value)] * rank
    if rank == 1:
        return [(int(value[0]), int(value[1]))]
    return [(int(side), int(side)) if isinstance(side, int) else (int(side[0]), int(side[1])) for side in value]


def _padding(node: Node, inputs: Sequence[Shape]) -> Shape:
    shape, sign = inputs[0], -1 if node.kind.startswith("Cropping") else 1
    pairs = _pairs(node.config["cropping" if sign < 0 else "padding"], len(shape) - 2)
    spatial = (None if n is None else n + sign * sum(pair) for n, pair in zip(shape[1:-1], pairs, strict=True))
    return (shape[0], *spatial, shape[-1])


def _upsampling(node: Node, inputs: Sequence[Shape]) -> Shape:
    shape = inputs[0]
    sizes = _each(node.config["size"], len(shape) - 2)
    return (shape[0], *(None if n is None else n * k for n, k in zip(shape[1:-1], sizes, strict=True)), shape[-1])


def _product(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else math.prod(n for n in sizes if n is not None)


def _flatten(node: Node, inputs: Sequence[Shape]) -> Shape:
    return (inputs[0][0], _product(inputs[0][1:]))


def _reshape(node: Node, inputs: Sequence[Shape]) -> Shape:
    target = [int(n) for n in node.config["target_shape"]]
    total = _product(inputs[0][1:])
    rest = math.prod(n for n in target if n != -1)
    return (inputs[0][0], *(n if n != -1 else None if total is None else total // rest for n in target))


def _concatenate(node: Node, inputs: Sequence[Shape]) -> Shape | None:
    if len({len(shape) for shape in inputs}) != 1:
        return None
    axis = int(node.config["axis"]) % len(inputs[0])
    sizes = [shape[axis] for shape in inputs]
    joined = None if None in sizes else sum(n for n in sizes if n is not None)
    return (*inputs[0][:axis], joined, *inputs[0][axis + 1 :])


def _recurrent(node: Node, inputs: Sequence[Shape]) -> Shape | None:
    shape, config = inputs[0], node.config
    if config.get("return_state"):
        return None
    length = (shape[1],) if config.get("return_sequences") else ()
    return (shape[0], *length, int(config["units"]))


def _embedding(node: Node, inputs: Sequence[Shape]) -> Shape:
    return (*inputs[0], int(node.config["output_dim"]))


def _permute(node: Node, inputs: Sequence[Shape]) -> Shape:
    return (inputs[0][0], *(inputs[0][int(axis)] for axis in node.config["dims"]))


RULES: dict[str, Callable[[Node, Sequence[Shape]], Shape | None]] = {
    "Concatenate": _concatenate,
    "Dense": _dense,
    "Embedding": _embedding,
    "Flatten": _flatten,
    "Permute": _permute,
    "Reshape": _reshape,
    **{f"{kind}{n}D": _convolution for kind in ("Conv", "DepthwiseConv", "SeparableConv") for n in (1, 2)},
    **{f"{kind}Pooling{n}D": _pooling for kind in ("Max", "Average") for n in (1, 2)},
    **{f"Global{kind}Pooling{n}D": _global_pooling for kind in ("Max", "Average") for n in (1, 2)},
    **{f"{kind}{n}D": _padding for kind in ("ZeroPadding", "Cropping") for n in (1, 2)},
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN"), _recurrent),
    **{f"Conv{n}DTranspose": _transposed for n in (1, 2)},
    **{f"UpSampling{n}D": _upsampling for n in (1, 2)},
}
