"""How are small networks written down and computed without TensorFlow?

A `Builder` makes the `Graph` and the shapes of its tensors; `run` computes it with NumPy, in the plainest way.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepack.channels.symbols import Channels, trace
from edgepack.keras_models.graph import Graph, Node, Ref

Array = NDArray[np.float64]


class Builder:
    """Adds one layer at a time; every convolution has stride 1 and ``same`` padding."""

    def __init__(self, shape: tuple[int, ...] = (4, 4, 3), *, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph("test", {}, ("in",), ())
        self.shapes: dict[Ref, tuple[int | None, ...]] = {}
        self.graph.nodes["in"] = Node("in", "InputLayer", {"batch_input_shape": (None, *shape)})
        self.shapes[Ref("in")] = (None, *shape)

    def add(
        self,
        name: str,
        kind: str,
        inputs: list[str],
        shape: tuple[int, ...],
        *weights: tuple[int, ...],
        shares: str | None = None,
        **config: Any,
    ) -> str:
        refs: Any = [Ref(source) for source in inputs]
        values = tuple(self.rng.normal(size=size) for size in weights)
        args = (refs,) if len(refs) > 1 else tuple(refs)
        self.graph.nodes[name] = Node(name, kind, {"name": name, **config}, args, {}, values, shares)
        self.shapes[Ref(name)] = (None, *shape)
        return name

    def of(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor without the batch axis."""
        return tuple(size or 0 for size in self.shapes[Ref(name)][1:])

    def conv(self, name: str, source: str, filters: int, *, size: int = 1, **config: Any) -> str:
        *places, channels = self.of(source)
        weights = ((size, size, channels, filters), (filters,))
        return self.add(name, "Conv2D", [source], (*places, filters), *weights, filters=filters, **config)

    def again(self, name: str, owner: str, source: str) -> str:
        """Another call of a convolution."""
        node = self.graph.nodes[owner]
        config = {key: value for key, value in node.config.items() if key != "name"}
        places = self.of(source)[:-1]
        return self.add(name, node.kind, [source], (*places, self.of(owner)[-1]), shares=owner, **config)

    def depthwise(self, name: str, source: str, *, multiplier: int = 1) -> str:
        *places, channels = self.of(source)
        made = channels * multiplier
        weights = ((3, 3, channels, multiplier), (made,))
        return self.add(name, "DepthwiseConv2D", [source], (*places, made), *weights, depth_multiplier=multiplier)

    def separable(self, name: str, source: str, filters: int) -> str:
        *places, channels = self.of(source)
        weights = ((3, 3, channels, 1), (1, 1, channels, filters), (filters,))
        return self.add(name, "SeparableConv2D", [source], (*places, filters), *weights, filters=filters)

    def dense(self, name: str, source: str, units: int, **config: Any) -> str:
        *places, channels = self.of(source)
        return self.add(name, "Dense", [source], (*places, units), (channels, units), (units,), units=units, **config)

    def bn(self, name: str, source: str) -> str:
        shape = self.of(source)
        return self.add(name, "BatchNormalization", [source], shape, *[(shape[-1],)] * 4, axis=[len(shape)])

    def relu(self, name: str, source: str) -> str:
        return self.add(name, "ReLU", [source], self.of(source))

    def merge(self, name: str, kind: str, *sources: str) -> str:
        return self.add(name, kind, list(sources), max((self.of(source) for source in sources), key=np.prod))

    def concat(self, name: str, *sources: str) -> str:
        *places, _ = self.of(sources[0])
        width = sum(self.of(source)[-1] for source in sources)
        return self.add(name, "Concatenate", list(sources), (*places, width), axis=-1)

    def flatten(self, name: str, source: str) -> str:
        return self.add(name, "Flatten", [source], (int(np.prod(self.of(source))),))

    def pool(self, name: str, source: str) -> str:
        return self.add(name, "GlobalAveragePooling2D", [source], (self.of(source)[-1],), keepdims=False)

    def reshape(self, name: str, source: str, *target: int) -> str:
        return self.add(name, "Reshape", [source], target, target_shape=target)

    def done(self, *outputs: str) -> Graph:
        self.graph.outputs = tuple(Ref(name) for name in outputs)
        return self.graph

    def trace(self, *, exclude: tuple[str, ...] = ()) -> Channels:
        return trace(self.graph, self.shapes, exclude=exclude)


def run(graph: Graph, x: Array) -> list[Array]:
    """Compute a graph for a batch; returns its outputs."""
    made: dict[Ref, Array] = {}
    for node in graph.nodes.values():
        inputs = [made[ref] for ref in node.inputs]
        weights = graph.nodes[node.shares or node.name].weights
        made[Ref(node.name)] = (
            x if node.kind == "InputLayer" else _compute(node, inputs, [np.asarray(w) for w in weights])
        )
    return [made[ref] for ref in graph.outputs]


def _compute(node: Node, inputs: list[Array], weights: list[Any]) -> Array:
    (x, *more), kind = inputs, node.kind
    if kind in ("Conv2D", "Dense"):
        kernel = weights[0] if kind == "Conv2D" else weights[0][None, None]
        y = _convolved(x, kernel) if kind == "Conv2D" else x @ weights[0]
        assert kernel.shape[-1] == node.config["filters" if kind == "Conv2D" else "units"], node.name
        return _activated(node, y + weights[1])
    if kind == "DepthwiseConv2D":
        return _depthwise(x, weights[0]) + weights[1]
    if kind == "SeparableConv2D":
        return _convolved(_depthwise(x, weights[0]), weights[1]) + weights[2]
    if kind == "BatchNormalization":
        gamma, beta, mean, variance = weights
        return (x - mean) / np.sqrt(variance**2 + 1e-3) * gamma + beta
    if kind == "ReLU":
        return np.maximum(x, 0)
    if kind == "Add":
        return x + sum(more)
    if kind == "Multiply":
        return x * more[0]
    if kind == "Concatenate":
        return np.concatenate(inputs, axis=-1)
    if kind == "Flatten":
        return x.reshape(len(x), -1)
    if kind == "Reshape":
        return x.reshape(len(x), *node.config["target_shape"])
    if kind == "GlobalAveragePooling2D":
        return x.mean(axis=(1, 2))
    if kind == "Softmax":
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    raise NotImplementedError(kind)


def _activated(node: Node, y: Array) -> Array:
    if node.config.get("activation") == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-y)))
    return y


def _windows(x: Array, size: int) -> Array:
    """(n, h, w, c, size, size): the neighbourhood of each place, zeros outside."""
    before, after = (size - 1) // 2, size // 2
    padded = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))


def _convolved(x: Array, kernel: Array) -> Array:
    return np.einsum("nhwcij,ijco->nhwo", _windows(x, kernel.shape[0]), kernel)


def _depthwise(x: Array, kernel: Array) -> Array:
    y = np.einsum("nhwcij,ijcm->nhwcm", _windows(x, kernel.shape[0]), kernel)
    return y.reshape(*x.shape[:-1], -1)
