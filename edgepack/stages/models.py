"""What does an architecture cost at some input: parameters, operations, size?"""

from typing import TYPE_CHECKING, Any

from edgepack.errors import RecipeError
from edgepack.models import zoo
from edgepack.stages.request import KERAS, Request

if TYPE_CHECKING:
    from edgepack.keras_models.graph import Graph

LIBRARIES = KERAS


def run(request: Request) -> dict[str, Any]:
    """Build architectures with random weights and count them.

    ``options``: ``models``, a list of ``zoo``, ``args``, ``input_shape`` (without the batch axis) and ``classes``.

    Returns:
        ``models``: for each of them the figures of `figures`, or ``reason``, why it cannot be built.
    """
    found: list[dict[str, Any]] = []
    for wanted in request.options["models"]:
        config = zoo.Config(zoo=wanted["zoo"], args=wanted["args"])
        request.progress({"label": "models", "text": wanted["zoo"]})
        try:
            shape = tuple(wanted["input_shape"])
            model = zoo.build(config, request.base, input_shape=shape, classes=wanted["classes"])
            found.append(figures(model))
        except RecipeError as error:
            found.append({"reason": error.message})
    return {"models": found}


def figures(model: Any) -> dict[str, Any]:
    """``parameters`` and ``macs``, see `edgepack.channels.macs`; ``float32_kib`` and ``int8_kib``, see `weight_bytes`.

    Args:
        model: A tf_keras model with an input of fixed size, and no models inside.

    Raises:
        RecipeError: Its input has no fixed size.
    """
    import tf_keras

    from edgepack.channels.macs import cost
    from edgepack.channels.shapes import tensor_shapes
    from edgepack.keras_models.graph import from_keras

    graph = from_keras(model)
    # A Sequential model hides the layer of its input.
    found = cost(graph, tensor_shapes(graph, tf_keras.Model(model.inputs, model.outputs)))
    full, integer = weight_bytes(graph)
    return {
        "parameters": found.parameters,
        "macs": found.macs,
        "float32_kib": round(full / 1024, 1),
        "int8_kib": round(integer / 1024, 1),
    }


def weight_bytes(graph: "Graph") -> tuple[int, int]:
    """Bytes of the weights of a ``.tflite`` file in float32 and in int8, without the graph and the scales around them.

    BatchNormalization goes into the layer before it, and every convolution or dense layer has one bias for each output
    channel: 4 bytes in both. A kernel's weight has 4 bytes, or 1.
    """
    from edgepack.channels.macs import KERNELS

    kernels = others = 0
    for node in graph.nodes.values():
        count = KERNELS.get(node.kind, 0)
        kernels += sum(int(weight.size) for weight in node.weights[:count])
        if count and node.weights:
            others += _outputs(node.kind, node.weights[count - 1].shape)
        elif node.kind != "BatchNormalization":
            others += sum(int(weight.size) for weight in node.weights)
    return 4 * (kernels + others), kernels + 4 * others


def _outputs(kind: str, kernel: tuple[int, ...]) -> int:
    """Output channels of a layer with such a kernel."""
    if kind.startswith("Depthwise"):
        return kernel[-2] * kernel[-1]
    return kernel[-2] if kind.endswith("Transpose") else kernel[-1]
