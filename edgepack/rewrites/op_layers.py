"""Which layers stand for arithmetic that was written with operators and TensorFlow functions?

``x + 3`` in a functional model becomes a ``TFOpLambda``, which neither TFMOT nor a pruning wrapper accepts.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once, plain_config, scalar, walk
from edgepack.rewrites._shapes import Shape, shapes

SCOPE: Literal["structure", "quantisation"] = "structure"


@dataclass(frozen=True)
class Layer:
    """A layer in place of an operation: class, configuration, and its inputs."""

    kind: str
    config: Mapping[str, Any]
    inputs: Any


Known = Mapping[Ref, Shape]

PLAIN_RELU = {"negative_slope": 0.0, "threshold": 0.0}


def apply(graph: Graph) -> list[Change]:
    """Replace what a layer expresses exactly, in place; everything else stays as it is."""
    changes = []
    known = shapes(graph)
    for node in walk(graph):
        if node.kind != "TFOpLambda" or not called_once(graph, node):
            continue
        function = str(node.config["function"])
        rule = RULES.get(function)
        layer = rule(node, known) if rule else None
        if layer is None:
            continue
        config = plain_config(node, **layer.config)
        graph.put(replace(node, kind=layer.kind, config=config, args=(layer.inputs,), kwargs={}))
        known = {**known, **_own_shape(graph, node.name)}
        changes.append(Change("op_layers", (node.name,), f"tf.{function} is a {layer.kind} layer", (node.name,)))
    return changes


def _own_shape(graph: Graph, name: str) -> dict[Ref, Shape]:
    found = shapes(graph)
    return {Ref(name): found[Ref(name)]} if Ref(name) in found else {}


def _arguments(node: Node, *names: str) -> list[Any] | None:
    """Arguments by position or name, None for those not given; None when there are others."""
    given: dict[str, Any] = dict(zip(names, node.args, strict=False))
    given.update(node.kwargs)
    given.pop("name", None)
    if len(node.args) > len(names) or not set(given) <= set(names):
        return None
    return [given.get(name) for name in names]


def _two(node: Node) -> list[Any] | None:
    return _arguments(node, "x", "y") or _arguments(node, "a", "b")


def _same_rank(known: Known, *refs: Any) -> bool:
    """True when all tensors are known to have one rank: Keras' merging layers line others up differently."""
    found = [known.get(ref) for ref in refs]
    return len({len(shape) for shape in found if shape is not None}) == 1 and None not in found


def _constant(value: Any, tensor: Ref, known: Known) -> float | list[float] | None:
    """A constant that `Rescaling` can hold: one number, or one for each channel."""
    import numpy as np

    if isinstance(value, Ref) or value is None:
        return None
    number = scalar(value)
    if number is not None:
        return number if np.ndim(value) == 0 or (tensor in known and np.ndim(value) <= len(known[tensor])) else None
    array, shape = np.asarray(value), known.get(tensor)
    if shape is None or array.dtype.kind not in "fiu" or array.ndim > len(shape):
        return None
    per_channel = array.size == array.shape[-1] == shape[-1]
    return [float(item) for item in array.reshape(-1)] if per_channel else None


def _negated(value: float | list[float]) -> float | list[float]:
    return [-item for item in value] if isinstance(value, list) else -value


def _inverse(value: float | list[float]) -> float | list[float] | None:
    if isinstance(value, list):
        return [1 / item for item in value] if all(value) else None
    return 1 / value if value else None


def _rescaling(tensor: Ref, scale: float | list[float] = 1.0, offset: float | list[float] = 0.0) -> Layer:
    return Layer("Rescaling", {"scale": scale, "offset": offset}, tensor)


def _arithmetic(operation: str, merging: str | None) -> Callable[[Node, Known], Layer | None]:
    """The rule for an operation with two operands, of which one may be a constant."""

    def rule(node: Node, known: Known) -> Layer | None:
        operands = _two(node)
        if operands is None:
            return None
        left, right = operands
        if isinstance(left, Ref) and isinstance(right, Ref):
            return Layer(merging, {}, [left, right]) if merging and _same_rank(known, left, right) else None
        tensor, other = (left, right) if isinstance(left, Ref) else (right, left)
        value = _constant(other, tensor, known)
        if value is None or not isinstance(tensor, Ref):
            return None
        if operation == "maximum":
            return (
                Layer("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, tensor)
                if value == 0
                else None
            )
        return _with_constant(operation, tensor, value, constant_first=tensor is not left)

    return rule


def _with_constant(operation: str, tensor: Ref, value: float | list[float], *, constant_first: bool) -> Layer | None:
    if operation == "add":
        return _rescaling(tensor, offset=value)
    if operation == "subtract":
        return _rescaling(tensor, -1.0, value) if constant_first else _rescaling(tensor, offset=_negated(value))
    if operation == "multiply":
        return _rescaling(tensor, value)
    if operation == "divide" and not constant_first:
        inverse = _inverse(value)
        return None if inverse is None else _rescaling(tensor, inverse)
    return None


def _one(kind: str, *names: str, **config: Any) -> Callable[[Node, Known], Layer | None]:
    """The rule for a function of one tensor; other arguments must not be given."""

    def rule(node: Node, known: Known) -> Layer | None:
        given = _arguments(node, *(names or ("features",)))
        if given is None or not isinstance(given[0], Ref) or any(item is not None for item in given[1:]):
            return None
        return Layer(kind, config, given[0])

    return rule


def _negative(node: Node, known: Known) -> Layer | None:
    given = _arguments(node, "x")
    return _rescaling(given[0], -1.0) if given and isinstance(given[0], Ref) else None


def _softmax(node: Node, known: Known) -> Layer | None:
    given = _arguments(node, "logits", "axis")
    if given is None or not isinstance(given[0], Ref):
        return None
    return Layer("Softmax", {"axis": -1 if given[1] is None else int(given[1])}, given[0])


def _leaky_relu(node: Node, known: Known) -> Layer | None:
    given = _arguments(node, "features", "alpha")
    if given is None or not isinstance(given[0], Ref):
        return None
    slope = 0.2 if given[1] is None else scalar(given[1])
    return None if slope is None else Layer("LeakyReLU", {"alpha": slope}, given[0])


def _clip(node: Node, known: Known) -> Layer | None:
    given = _arguments(node, "t", "clip_value_min", "clip_value_max")
    if given is None or not isinstance(given[0], Ref):
        return None
    low, high = (None if isinstance(item, Ref) or item is None else scalar(item) for item in given[1:])
    if low != 0 or high is None or high <= 0:
        return None
    return Layer("ReLU", {"max_value": high, **PLAIN_RELU}, given[0])


def _reshape(node: Node, known: Known) -> Layer | None:
    given = _arguments(node, "tensor", "shape")
    if given is None or not isinstance(given[0], Ref) or given[0] not in known:
        return None
    if isinstance(given[1], Ref) or any(isinstance(item, Ref) for item in given[1]):
        return None
    target, before = [int(size) for size in given[1]], known[given[0]]
    if not target or None in before[1:] or (-1 in target[1:] and target[0] == -1):
        return None
    sizes = math.prod(size for size in before[1:] if size is not None)
    keeps_batch = (target[0] == -1 and math.prod(target[1:]) == sizes) or (
        before[0] is not None and target[0] == before[0]
    )
    return Layer("Reshape", {"target_shape": tuple(target[1:])}, given[0]) if keeps_batch else None


def _concat(node: Node, known: Known) -> Layer | None:
    given = _arguments(node, "values", "axis")
    if given is None or not isinstance(given[0], list | tuple) or isinstance(given[1], Ref) or given[1] is None:
        return None
    tensors, axis = list(given[0]), int(given[1])
    if len(tensors) < 2 or not all(isinstance(item, Ref) for item in tensors) or not _same_rank(known, *tensors):
        return None
    return Layer("Concatenate", {"axis": axis}, tensors) if axis % len(known[tensors[0]]) else None


def _reduction(kind: str) -> Callable[[Node, Known], Layer | None]:
    """The rule for a mean or maximum over all positions, the channels kept apart."""

    def rule(node: Node, known: Known) -> Layer | None:
        given = _arguments(node, "input_tensor", "axis", "keepdims")
        if given is None or not isinstance(given[0], Ref) or given[1] is None or given[0] not in known:
            return None
        rank = len(known[given[0]])
        axes = given[1] if isinstance(given[1], list | tuple) else [given[1]]
        if rank not in (3, 4) or sorted(int(axis) % rank for axis in axes) != list(range(1, rank - 1)):
            return None
        config = {"keepdims": bool(given[2]), "data_format": "channels_last"}
        return Layer(f"Global{kind}Pooling{rank - 2}D", config, given[0])

    return rule


ADD, SUBTRACT = _arithmetic("add", "Add"), _arithmetic("subtract", "Subtract")
MULTIPLY, DIVIDE = _arithmetic("multiply", "Multiply"), _arithmetic("divide", None)
RULES: dict[str, Callable[[Node, Known], Layer | None]] = {
    **dict.fromkeys(("__operators__.add", "math.add"), ADD),
    **dict.fromkeys(("__operators__.subtract", "math.subtract"), SUBTRACT),
    **dict.fromkeys(("__operators__.mul", "math.multiply"), MULTIPLY),
    **dict.fromkeys(("__operators__.truediv", "math.truediv", "math.divide"), DIVIDE),
    "math.maximum": _arithmetic("maximum", "Maximum"),
    "math.minimum": _arithmetic("minimum", "Minimum"),
    "math.negative": _negative,
    "nn.relu": _one("ReLU", max_value=None, **PLAIN_RELU),
    "nn.relu6": _one("ReLU", max_value=6.0, **PLAIN_RELU),
    "nn.leaky_relu": _leaky_relu,
    "clip_by_value": _clip,
    **dict.fromkeys(("nn.silu", "nn.swish"), _one("Activation", "features", "beta", activation="swish")),
    **dict.fromkeys(("nn.sigmoid", "math.sigmoid"), _one("Activation", "x", activation="sigmoid")),
    **dict.fromkeys(("nn.tanh", "math.tanh"), _one("Activation", "x", activation="tanh")),
    "nn.softmax": _softmax,
    "reshape": _reshape,
    "concat": _concat,
    "math.reduce_mean": _reduction("Average"),
    "math.reduce_max": _reduction("Max"),
}
