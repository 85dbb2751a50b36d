"""How does a net of 1-D convolutions become one of 2-D convolutions, which TFMOT and TensorFlow Lite quantise?

A tensor of shape (n, length, channels) is carried as (n, length, 1, channels). Layers between 1-D layers that work on
either are carried along, so that a chain needs one Reshape at its start and one, or none, at its end.
"""

from dataclasses import replace
from typing import Any, Literal

from edgepack.keras_models.graph import Graph, Node, Ref, exchange
from edgepack.keras_models.rewriting import Change
from edgepack.rewrites._common import called_once
from edgepack.rewrites._lifted import ALONG, LIFTS, lifted
from edgepack.rewrites._shapes import Shape, shapes

SCOPE: Literal["structure", "quantisation"] = "quantisation"

FLAT = ("GlobalAveragePooling1D", "GlobalMaxPooling1D")
"""Layers whose output has no length any more, unless ``keepdims`` is set."""

Known = dict[Ref, Shape]


def apply(graph: Graph) -> list[Change]:
    """Lift all 1-D layers, and those between them, in place."""
    known = shapes(graph)
    chosen = _chosen(graph, known)
    if not chosen:
        return []
    made: dict[str, list[str]] = {name: [name] for name in chosen}
    causal = _lift(graph, chosen)
    for name, extra in causal.items():
        made[name].append(extra)
    tall = {name for name in chosen if not _flattens(graph.nodes[name], known)} | set(causal.values())
    for name, extra in _reshapes(graph, set(chosen) | set(causal.values()), tall, known):
        made.setdefault(name, [name]).append(extra)
    return [
        Change("conv1d", (name,), f"{kind} is {graph.nodes[name].kind} on (length, 1, channels)", tuple(made[name]))
        for name, kind in chosen.items()
    ]


def _chosen(graph: Graph, known: Known) -> dict[str, str]:
    """Name and class of all nodes to lift."""
    chosen = {node.name: node.kind for node in graph.nodes.values() if node.kind in LIFTS and _can(graph, node, known)}
    if not chosen:
        return {}
    grown = True
    while grown:
        grown = False
        for node in graph.nodes.values():
            if node.name in chosen or node.kind not in ALONG or not _can(graph, node, known):
                continue
            from_lifted = [ref.node in chosen for ref in node.inputs]
            readers = graph.consumers(node.name)
            into_lifted = bool(readers) and all(reader.name in chosen for reader in readers)
            if all(from_lifted) or (into_lifted and (any(from_lifted) or len(node.inputs) == 1)):
                chosen[node.name], grown = node.kind, True
    return chosen


def _can(graph: Graph, node: Node, known: Known) -> bool:
    """True when every tensor of the node has three axes and known channels, and the layer belongs to this call only."""
    tensors = [known.get(ref) for ref in node.inputs]
    plain = called_once(graph, node) and node.channels_last and not node.kwargs
    if not plain or any(shape is None or len(shape) != 3 or shape[-1] is None for shape in tensors):
        return False
    return lifted(node) is not None


def _lift(graph: Graph, chosen: dict[str, str]) -> dict[str, str]:
    """Exchange the layers; returns the padding layer that was placed before each causal convolution."""
    causal = {}
    for name in chosen:
        node = graph.nodes[name]
        config = node.config
        new = lifted(node)
        assert new is not None
        if config.get("padding") == "causal" and node.kind in LIFTS:
            padding = graph.fresh(f"{name}_causal_padding")
            before = (int(config["kernel_size"][0]) - 1) * int(config["dilation_rate"][0])
            wide = {"padding": ((before, 0), (0, 0)), "data_format": "channels_last"}
            common = {"name": padding, "trainable": True, "dtype": config.get("dtype", "float32")}
            graph.insert_before(name, Node(padding, "ZeroPadding2D", {**common, **wide}, new.args))
            new = replace(new, args=(Ref(padding),))
            causal[name] = padding
        graph.put(new)
    return causal


def _flattens(node: Node, known: Known) -> bool:
    """True for a lifted node whose output has two axes."""
    return node.kind in ("GlobalAveragePooling2D", "GlobalMaxPooling2D") and not node.config.get("keepdims")


def _reshapes(graph: Graph, inside: set[str], tall: set[str], known: Known) -> list[tuple[str, str]]:
    """Place Reshape layers where lifted and other nodes meet; returns pairs of a lifted node and a new one."""
    found = []
    for name in list(graph.nodes):
        readers = graph.consumers(name)
        ins = [reader.name for reader in readers if reader.name in inside]
        outs = [reader for reader in readers if reader.name not in inside and reader.kind not in ("Flatten", "Reshape")]
        if name not in tall and name not in inside and ins:
            new = _raise(graph, name, ins, known)
            if new is not None:
                found.append((ins[0], new))
        elif name in tall and (outs or graph.is_output(name)):
            found.append((name, _lower(graph, name, outs, known)))
    return found


def _raise(graph: Graph, name: str, readers: list[str], known: Known) -> str | None:
    """Let lifted readers take a tensor with one axis more; a Reshape that only they read is changed itself."""
    node, shape = graph.nodes[name], known[Ref(name)]
    target = (-1 if shape[1] is None else shape[1], 1, shape[2])
    everyone = len(readers) == len(graph.consumers(name)) and not graph.is_output(name)
    if node.kind == "Reshape" and everyone and called_once(graph, node):
        graph.put(node.with_config(target_shape=target))
        return None
    new = _reshape(graph, node, f"{name}_lift", target)
    _insert(graph, name, new, readers)
    return new.name


def _lower(graph: Graph, name: str, readers: list[Node], known: Known) -> str:
    """Let other readers, and the model's output, take a lifted tensor with its three axes."""
    shape = known.get(Ref(name))
    assert shape is not None
    target = (-1 if shape[1] is None else shape[1], shape[2])
    new = _reshape(graph, graph.nodes[name], f"{name}_lower", target)
    _insert(graph, name, new, [reader.name for reader in readers])
    graph.outputs = tuple(Ref(new.name) if ref == Ref(name) else ref for ref in graph.outputs)
    return new.name


def _reshape(graph: Graph, node: Node, name: str, target: tuple[Any, ...]) -> Node:
    name = graph.fresh(name)
    dtype = node.config.get("dtype", "float32")
    config = {"name": name, "trainable": True, "dtype": dtype, "target_shape": target}
    return Node(name, "Reshape", config, (Ref(node.name),))


def _insert(graph: Graph, name: str, new: Node, readers: list[str]) -> None:
    graph.insert_after(name, new)
    for reader in readers:
        node = graph.nodes[reader]
        args, kwargs = exchange((node.args, dict(node.kwargs)), Ref(name), Ref(new.name))
        graph.put(replace(node, args=tuple(args), kwargs=kwargs))
