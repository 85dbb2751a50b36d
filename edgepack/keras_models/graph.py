"""What is a Keras model as plain data: its calls, their weights, and how one is built from that again?

Whatever changes the structure of a model (rewrites, channel pruning, the way in from Keras 3) works on a `Graph`:
one `Node` for each call of a layer, NumPy weights, no Keras object. Models inside models are taken apart on the way.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgepack.errors import RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = tuple[NDArray[np.generic], ...]


@dataclass(frozen=True)
class Ref:
    """One tensor: output number ``output`` of the node ``node``."""

    node: str
    output: int = 0


@dataclass(frozen=True)
class Node:
    """One call of a layer.

    Attributes:
        name: Unique in its graph; the layer's name, and for a layer that is called again ``<name>_call1`` and so on.
        kind: Class name, as in `tf_keras.layers`, `edgepack.keras_models.layers` or `Graph.custom`; ``InputLayer`` for
            inputs.
        config: The layer's ``get_config()``.
        args: Positional arguments of the call: `Ref` for tensors in lists as the layer wants them, or constants.
        kwargs: Keyword arguments of the call, in the same form.
        weights: The layer's weights in the order of ``layer.weights``.
        shares: Name of an earlier node whose layer (and weights) this call uses again, or None.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    weights: "Weights" = ()
    shares: str | None = None

    @cached_property
    def inputs(self) -> tuple[Ref, ...]:
        """All tensors that the call takes, in order."""
        return tuple(references((self.args, dict(self.kwargs))))

    @property
    def is_linear(self) -> bool:
        """True when the layer has no activation of its own."""
        return self.config.get("activation", "linear") in (None, "linear")

    @property
    def channels_last(self) -> bool:
        """False for layers that have their channels in front."""
        return self.config.get("data_format") in (None, "channels_last")

    def with_config(self, **changes: Any) -> "Node":
        """A copy with some keys of its configuration replaced."""
        return replace(self, config={**self.config, **changes})


@dataclass
class Graph:
    """A model as data; `nodes` is in an order in which every node comes after those it takes tensors from.

    Attributes:
        name: The model's name.
        nodes: Nodes by name.
        inputs: Names of the ``InputLayer`` nodes, in the model's order.
        outputs: The model's output tensors, in order.
        custom: Classes of layers that are neither in `tf_keras.layers` nor edgepack's own, by class name.
    """

    name: str
    nodes: dict[str, Node]
    inputs: tuple[str, ...]
    outputs: tuple[Ref, ...]
    custom: dict[str, type] = field(default_factory=dict)

    def consumers(self, name: str) -> list[Node]:
        """Nodes that take a tensor of the named node."""
        return [node for node in self.nodes.values() if any(ref.node == name for ref in node.inputs)]

    def calls(self, name: str) -> list[Node]:
        """Every call of the layer that the named node calls, itself included."""
        owner = self.nodes[name].shares or name
        return [node for node in self.nodes.values() if owner in (node.name, node.shares)]

    def is_output(self, name: str) -> bool:
        """True when the model gives out a tensor of the named node."""
        return any(ref.node == name for ref in self.outputs)

    def before(self, node: Node) -> Node | None:
        """The node that makes the only tensor of a call, or None when it takes none or several."""
        return self.nodes[node.inputs[0].node] if len(node.inputs) == 1 else None

    def only_consumer(self, name: str) -> Node | None:
        """The one node that takes the named node's tensor, or None: no or several consumers, or a model output."""
        found = self.consumers(name)
        return found[0] if len(found) == 1 and not self.is_output(name) else None

    def fresh(self, name: str) -> str:
        """``name``, or ``name_1``, ``name_2`` ... when a node has it already."""
        candidate, number = name, 0
        while candidate in self.nodes:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    def put(self, node: Node) -> None:
        """Replace the node of the same name, in its place."""
        self.nodes[node.name] = node

    def insert_after(self, name: str, *nodes: Node) -> None:
        """Place new nodes behind the named one; who takes which tensor is up to the caller (see `redirect`)."""
        self._insert(name, nodes, behind=True)

    def insert_before(self, name: str, *nodes: Node) -> None:
        """Place new nodes in front of the named one."""
        self._insert(name, nodes, behind=False)

    def _insert(self, name: str, new: tuple[Node, ...], *, behind: bool) -> None:
        nodes: dict[str, Node] = {}
        for key, node in self.nodes.items():
            around = (node, *new) if behind else (*new, node)
            nodes.update({n.name: n for n in (around if key == name else (node,))})
        self.nodes = nodes

    def redirect(self, old: Ref, new: Ref, *, only: Callable[[Node], bool] | None = None) -> None:
        """Let every consumer of ``old`` (that ``only`` accepts) and the model's outputs take ``new`` instead.

        The node that makes ``new`` itself keeps what it takes.
        """
        for node in list(self.nodes.values()):
            if node.name != new.node and old in node.inputs and (only is None or only(node)):
                args, kwargs = exchange((node.args, dict(node.kwargs)), old, new)
                self.nodes[node.name] = replace(node, args=tuple(args), kwargs=kwargs)
        self.outputs = tuple(new if ref == old else ref for ref in self.outputs)

    def remove(self, name: str) -> None:
        """Drop a node that nobody takes a tensor from (any more)."""
        assert not self.consumers(name), f"{name} still has consumers"
        assert not self.is_output(name), f"{name} is an output"
        assert not any(node.shares == name for node in self.nodes.values()), f"{name}'s layer is called again"
        del self.nodes[name]

    def bypass(self, name: str) -> None:
        """Drop a node with one input: its consumers take that input instead."""
        node = self.nodes[name]
        (source,) = node.inputs
        self.redirect(Ref(name), source)
        self.remove(name)

    def copy(self) -> "Graph":
        """A copy whose nodes can be exchanged without changing this one."""
        return Graph(self.name, dict(self.nodes), self.inputs, self.outputs, dict(self.custom))


def references(value: Any) -> Iterator[Ref]:
    """Every `Ref` in nested lists, tuples and dicts, in order."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)


def exchange(value: Any, old: Ref, new: Ref) -> Any:
    """The same nested value with one `Ref` in place of another."""
    return _mapped(value, lambda item: new if item == old else item)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    return change(value)


def from_keras(model: Any) -> Graph:
    """Take a Sequential or Functional tf_keras model apart, models inside it included.

    Raises:
        RecipeError: The model, or one inside it, is a subclassed model, whose calls nobody can see.
    """
    return _Reader(model).graph


class _Reader:
    """Walks a model's calls in order and writes nodes; see `from_keras`."""

    def __init__(self, model: Any) -> None:
        self.graph = Graph(model.name, {}, (), ())
        self.first_call: dict[int, str] = {}
        inputs = [self._input(tensor, model) for tensor in model.inputs]
        self.graph.inputs = tuple(ref.node for ref in inputs)
        self.graph.outputs = tuple(self._model(model, inputs))

    def _input(self, tensor: Any, model: Any) -> Ref:
        layer = tensor.node.layer
        self.graph.nodes[layer.name] = Node(layer.name, "InputLayer", layer.get_config())
        return Ref(layer.name)

    def _model(self, model: Any, inputs: list[Ref]) -> list[Ref]:
        """Walk one model whose inputs are the given tensors; returns its outputs."""
        import tensorflow as tf

        from edgepack.keras_models.inspect import require_graph

        require_graph(model)
        made = {id(tensor): ref for tensor, ref in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for call in model._nodes_by_depth[depth]:
                outputs = tf.nest.flatten(call.outputs)
                if all(id(tensor) in made for tensor in outputs):
                    continue  # an input
                args, kwargs = (
                    tf.nest.map_structure(lambda v: made.get(id(v), _constant(v)), part)
                    for part in (call.call_args, call.call_kwargs)
                )
                for tensor, ref in zip(outputs, self._call(call.layer, args, kwargs, len(outputs)), strict=True):
                    made[id(tensor)] = ref
        return [made[id(tensor)] for tensor in model.outputs]

    def _call(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: int) -> list[Ref]:
        import tf_keras

        if isinstance(layer, tf_keras.Model):
            return self._model(layer, list(references((args, kwargs))))
        first = self.first_call.get(id(layer))
        name = self.graph.fresh(layer.name if first is None else f"{first}_call1")
        self.first_call.setdefault(id(layer), name)
        kind = type(layer).__name__
        if _known(kind) is not type(layer):
            self.graph.custom[kind] = type(layer)
        weights = () if first else tuple(layer.get_weights())
        config = {**layer.get_config(), "name": first or name}
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        self.graph.nodes[name] = Node(name, kind, config, tuple(args), kwargs, weights, shares=first)
        return [Ref(name, index) for index in range(outputs)]


def to_keras(graph: Graph, *, wrap: Callable[[Node, Any], Any] | None = None) -> Any:
    """Build the Functional tf_keras model that a graph describes, with its weights.

    Args:
        graph: The model.
        wrap: Receives each new layer with its node; returns it, or a wrapper that is called in its place.

    Raises:
        RecipeError: A layer cannot be built from its configuration, or its weights have other shapes; it is named.
    """
    import tensorflow as tf
    import tf_keras

    made: dict[Ref, Any] = {}
    layers: dict[str, Any] = {}
    called: dict[str, Any] = {}
    for node in graph.nodes.values():
        if node.kind == "InputLayer":
            config = {key: value for key, value in node.config.items() if key != "name"}
            shape = config.pop("batch_input_shape")
            keep = {key: config[key] for key in ("dtype", "sparse", "ragged") if config.get(key)}
            made[Ref(node.name)] = tf_keras.Input(batch_shape=shape, name=node.name, **keep)
            continue
        try:
            if node.shares is None:
                layers[node.name] = layer = _layer(node, graph)
                called[node.name] = wrap(node, layer) if wrap else layer
            layer = layers[node.shares or node.name]
            args, kwargs = (
                _mapped(part, lambda item: made[item] if isinstance(item, Ref) else item)
                for part in (node.args, dict(node.kwargs))
            )
            if node.weights:
                _give_weights(layer, node, args, kwargs)
            result = called[node.shares or node.name](*args, **kwargs)
        except Exception as error:
            raise RecipeError(
                f"the layer {node.name!r} ({node.kind}) cannot be built in tf_keras {tf_keras.__version__}: "
                f"{_reason(error)}",
                fix="replace the layer, or give its class with custom_objects",
            ) from error
        made.update({Ref(node.name, index): tensor for index, tensor in enumerate(tf.nest.flatten(result))})
    return tf_keras.Model(
        [made[Ref(name)] for name in graph.inputs], [made[ref] for ref in graph.outputs], name=graph.name
    )


def _reason(error: Exception) -> str:
    """The line of an error that says what is wrong: Keras puts others around it, with the whole configuration."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    inner = [
        line.removeprefix("Exception encountered: ") for line in lines if line.startswith("Exception encountered: ")
    ]
    if not inner and lines[0].startswith("Exception encountered when calling layer"):
        inner = lines[1:2]
    return (inner or lines)[0][:300]


def _give_weights(layer: Any, node: Node, args: Any, kwargs: Any) -> None:
    """Build a layer and set its weights before its first call: TFMOT's wrappers take the kernel away in that call."""
    import tensorflow as tf

    if not layer.built:
        with tf.name_scope(layer.name):
            layer.build(tf.nest.map_structure(lambda tensor: tensor.shape, args[0]))
        layer.built = True
    if len(layer.weights) < len(node.weights):  # attention: the layers inside it are built in its first call
        layer(*_zeros(args), **_zeros(kwargs))
    layer.set_weights(node.weights)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _zeros(arguments: Any) -> Any:
    """Arguments of a call with zeros in place of tensors; an axis without a fixed size gets one."""
    import tensorflow as tf

    def zeros(value: Any) -> Any:
        return tf.zeros([size or 1 for size in value.shape], value.dtype) if hasattr(value, "type_spec") else value

    return tf.nest.map_structure(zeros, arguments)


def _layer(node: Node, graph: Graph) -> Any:
    kind: Any = graph.custom.get(node.kind) or _known(node.kind)
    if kind is None:
        raise ValueError(f"there is no layer class {node.kind}")
    # A copy: RNN layers take the configurations of their cells out of what they are given.
    return kind.from_config({**deepcopy(dict(node.config)), "name": node.name})


def _known(kind: str) -> Any:
    """The class of that name in tf_keras or among edgepack's own layers, or None."""
    import tf_keras
    from tf_keras.src.layers.core import tf_op_layer

    from edgepack.keras_models.layers import custom_objects

    return getattr(tf_keras.layers, kind, None) or getattr(tf_op_layer, kind, None) or custom_objects().get(kind)


def _constant(value: Any) -> Any:
    """Constants of a call as NumPy or Python values, whatever tensor they were."""
    import tensorflow as tf

    return value.numpy() if isinstance(value, tf.Tensor | tf.Variable) else value
