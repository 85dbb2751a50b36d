"""How does what was read from a Keras 3 file become a graph for tf_keras, and what cannot be carried over?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepack.errors import RecipeError
from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.keras_models.keras3 import operations
from edgepack.keras_models.keras3.settings import Carried, carry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

MODELS = ("Functional", "Sequential", "Model")


@dataclass(frozen=True)
class Translation:
    """A graph, and where each tensor of the Keras 3 model is in it.

    Attributes:
        graph: The model for `to_keras`.
        places: For each tensor ``(node, output)`` of the description, the tensor of the graph.
        kinds: The Keras 3 class of each node of the description.
    """

    graph: Graph
    places: Mapping[tuple[str, int], Ref]
    kinds: Mapping[str, str]


def translate(description: Mapping[str, Any], arrays: "Arrays", custom: Mapping[str, Any]) -> Translation:
    """Turn the description of a Keras 3 model (see `walk.Walk`) into a graph.

    Args:
        description: The content of ``description.json``.
        arrays: The content of ``arrays.npz``.
        custom: The user's own layers and functions, by name.

    Raises:
        RecipeError: Layers cannot be carried over; all of them are named.
    """
    own = {name: value for name, value in custom.items() if isinstance(value, type)}
    graph = Graph(description["name"], {}, tuple(description["inputs"]), (), own)
    places: dict[tuple[str, int], Ref] = {}
    problems: list[str] = []
    carried: dict[str, Carried] = {}
    for number, node in enumerate(description["nodes"]):
        name, owner = node["name"], node["shares"] or node["name"]
        if node["shares"] is None:
            config = _decoded_arrays(node["config"], arrays)
            carried[name] = carry(node["class"], node["module"], {**config, **_shapes(node), "name": name}, custom)
            problems += described(name, node["class"], carried[name].problems)
        layer = carried[owner]
        if layer.problems:
            places.update({(name, index): Ref(name, index) for index in range(node["outputs"])})
            continue
        args, kwargs = (_decoded(node[key], places, arrays) for key in ("args", "kwargs"))
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        if layer.kind == "SlicingOpLambda":
            args = (args[0], tuple(args[1]) if isinstance(args[1], list) else args[1])
        elif operations.is_operation(node["module"]) and node["dtype"].startswith("float"):
            args = [_as_float(value) for value in args]
        weights = tuple(arrays[f"{number}/{index}"] for index in range(node["weights"]))
        config = {**layer.config, "name": owner}
        graph.nodes[name] = Node(
            name, layer.kind, config, tuple(args), {**kwargs, **layer.kwargs}, weights, node["shares"]
        )
        places.update({(name, index): Ref(name, index) for index in range(node["outputs"])})
        if layer.then is not None:
            places[name, 0] = _then(graph, layer, name)
    refuse(problems)
    graph.outputs = tuple(places[name, index] for name, index in description["outputs"])
    return Translation(graph, places, {node["name"]: node["class"] for node in description["nodes"]})


def _then(graph: Graph, layer: Carried, name: str) -> Ref:
    """Write the call that follows a layer as its activation."""
    step = layer.then
    assert step is not None
    new = graph.fresh(f"{name}_activation")
    graph.nodes[new] = Node(new, step.kind, {**step.config, "name": new}, (Ref(name),), step.kwargs)
    return Ref(new)


def check(config: Mapping[str, Any], custom: Mapping[str, Any]) -> None:
    """Look at the configuration inside a file of Keras 3, before Keras 3 is started, for what cannot be carried over.

    Raises:
        RecipeError: There is something; each layer is named with its class.
    """
    problems: list[str] = []
    for kind, module, layer in layers(config):
        if kind in MODELS:
            continue
        problems += described(str(layer.get("name")), kind, carry(kind, module, layer, custom).problems)
    refuse(list(dict.fromkeys(problems)))


def layers(config: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Class, module and configuration of every layer and model in a saved configuration, models taken apart."""
    inner = config.get("config")
    if not isinstance(inner, Mapping):
        return
    yield config["class_name"], config.get("module") or "", inner
    if config["class_name"] in MODELS or "layers" in inner:
        for item in inner.get("layers", ()):
            named = {"name": item.get("name"), **item["config"]} if isinstance(item.get("config"), Mapping) else {}
            yield from layers({**item, "config": named})


def described(name: str, kind: str, problems: tuple[str, ...]) -> list[str]:
    """What is wrong with one layer, as lines of an error."""
    return [f"{name} ({kind}): {problem}" for problem in problems]


def refuse(problems: list[str]) -> None:
    """Raise the error that lists everything that cannot be carried over; nothing happens when there is nothing."""
    if problems:
        count = f"{len(problems)} layers or settings" if len(problems) > 1 else "one layer or setting"
        raise RecipeError(
            f"{count} of this Keras 3 model cannot be carried over to tf_keras:\n  " + "\n  ".join(problems),
            fix="replace them, or give custom layers with custom_objects: file.py",
        )


def _decoded(value: Any, places: Mapping[tuple[str, int], Ref], arrays: "Arrays") -> Any:
    """Arguments of a call, see `walk.Walk._encoded`."""
    if not isinstance(value, dict):
        return [_decoded(item, places, arrays) for item in value] if isinstance(value, list) else value
    if "ref" in value:
        return places[tuple(value["ref"])]
    if "array" in value:
        return arrays[value["array"]]
    if "dict" in value:
        return {key: _decoded(item, places, arrays) for key, item in value["dict"].items()}
    if "list" in value:
        return [_decoded(item, places, arrays) for item in value["list"]]
    if "tuple" in value:
        return tuple(_decoded(item, places, arrays) for item in value["tuple"])
    if "slice" in value:
        return dict(zip(("start", "stop", "step"), value["slice"], strict=True))  # as tf_keras keeps a slice
    if "ellipsis" in value:
        return Ellipsis
    if "unknown" in value:
        raise RecipeError(
            f"a layer is called with {value['unknown']}, which cannot be carried over to tf_keras",
            fix="call it with tensors, numbers and arrays only",
        )
    return {key: _decoded(item, places, arrays) for key, item in value.items()}


def _decoded_arrays(value: Any, arrays: "Arrays") -> Any:
    """A configuration with its arrays as lists, which is how tf_keras saves them."""
    if isinstance(value, dict):
        if set(value) == {"array"}:
            return arrays[value["array"]].tolist()
        return {key: _decoded_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded_arrays(item, arrays) for item in value]
    return value


def _as_float(value: Any) -> Any:
    """A whole number among an operation's arguments; TensorFlow, unlike Keras 3, does not mix it with floats."""
    import numpy as np

    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value.astype(np.float32) if isinstance(value, np.ndarray) else value


def _shapes(node: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that tf_keras alone has: its attention layer makes its weights when it is read, from these."""
    if node["class"] != "MultiHeadAttention":
        return {}
    query, value, *key = node["shapes"]
    return {"query_shape": query, "value_shape": value, "key_shape": key[0] if key else value}
