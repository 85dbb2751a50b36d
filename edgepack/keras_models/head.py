"""Where does a classifier's head begin, and how does it get a new one?"""

from dataclasses import replace
from typing import Any

from edgepack.errors import RecipeError
from edgepack.keras_models.graph import Graph, from_keras, to_keras

POOLING = {3: "GlobalAveragePooling1D", 4: "GlobalAveragePooling2D", 5: "GlobalAveragePooling3D"}
"""What turns features of a rank, batch axis included, into one row per sample."""


def classifier_layers(model: Any) -> tuple[str, ...]:
    """Names of the layers with weights in the head of a classifier that has no models inside it.

    That is the last dense layer or convolution; none where the model ends in features.

    Raises:
        RecipeError: Nobody can tell where the head begins.
    """
    graph = from_keras(model)
    return tuple(name for name in _head(graph, model) if graph.nodes[name].weights)


def with_new_head(model: Any, classes: int, *, dropout: float = 0.0) -> tuple[Any, str]:
    """Replace a classifier's head, or give one to a model that ends in features.

    The new head is global average pooling where the features still have positions, dropout, a dense layer with fresh
    weights, and a softmax. The old one is everything from the last layer with weights on, and dropout before it.

    Args:
        model: Sequential or Functional tf_keras model with one output; left as it is.
        classes: Outputs of the new head.
        dropout: As a fraction; 0 = no such layer.

    Returns:
        A new model, without models inside it, that has the old weights; and the name of its dense layer.

    Raises:
        RecipeError: Nobody can tell where the head begins.
    """
    import tf_keras

    layers = tf_keras.layers
    graph = from_keras(model)
    (output,) = graph.outputs
    head = _head(graph, model)
    if head:
        (output,) = graph.nodes[head[-1]].inputs
        for name in head:
            del graph.nodes[name]
    features = to_keras(replace(graph, outputs=(output,)))
    x = features.outputs[0]
    rank = len(x.shape)
    if rank in POOLING:
        x = getattr(layers, POOLING[rank])(name=graph.fresh("pool"))(x)
    elif rank != 2:
        raise RecipeError(
            f"model.new_head: the features of {model.name!r} have the shape {tuple(x.shape)}; expected one row per "
            "sample, or positions and channels",
            fix="end the model with a layer that pools or flattens",
        )
    if dropout:
        x = layers.Dropout(dropout, name=graph.fresh("dropout"))(x)
    dense = layers.Dense(classes, name=graph.fresh("classifier"))
    x = layers.Softmax(name=graph.fresh("softmax"))(dense(x))
    return tf_keras.Model(features.inputs, x, name=model.name), dense.name


def _head(graph: Graph, model: Any) -> list[str]:
    """Names of the nodes of the head, from the output down; empty where the model ends in features."""
    if len(graph.outputs) != 1:
        raise RecipeError(
            f"the model {model.name!r} has {len(graph.outputs)} outputs; expected one",
            fix="give a model with a single output",
        )
    if len(model.outputs[0].shape) != 2:
        return []
    node = graph.nodes[graph.outputs[0].node]
    head: list[str] = []
    while not node.weights:
        pools = node.kind in ("Flatten", "InputLayer") or node.kind.startswith("Global")
        if pools and all(graph.nodes[name].kind == "Dropout" for name in head):
            return []
        before = graph.before(node)
        if before is None or graph.only_consumer(before.name) is None:
            raise RecipeError(
                f"the head of {model.name!r} cannot be told: its layer {node.name!r} does not follow on a single one",
                fix="end the model with a dense layer or a convolution for its classes, or with pooled features",
            )
        head.append(node.name)
        node = before
    if node.kind.endswith("Normalization"):
        return []
    head.append(node.name)
    while (before := graph.before(node)) is not None and before.kind == "Dropout":
        head.append(before.name)
        node = before
    return head
