"""Which shape has every tensor of a graph?"""

from typing import Any

from edgepack.channels.symbols import Shapes
from edgepack.keras_models.graph import Graph, Ref


def tensor_shapes(graph: Graph, model: Any) -> Shapes:
    """Read the shapes from the tf_keras model that `edgepack.keras_models.graph.to_keras` built of the graph.

    Returns:
        Shapes with batch axis, sizes that are open as None.
    """
    import tensorflow as tf

    shapes: dict[Ref, tuple[int | None, ...]] = {}
    calls: dict[str, int] = {}
    for node in graph.nodes.values():
        owner = node.shares or node.name
        call = calls.get(owner, 0)
        calls[owner] = call + 1
        outputs = tf.nest.flatten(model.get_layer(owner).inbound_nodes[call].outputs)
        for index, tensor in enumerate(outputs):
            shapes[Ref(node.name, index)] = tuple(tensor.shape)
    return shapes
