"""What are a graph's inputs and outputs called, and what is known of them beyond what ONNX can say?"""

import json
from collections.abc import Sequence
from typing import Any

from edgepack.onnx_models.unsigned import SHIFT

UINT8 = 2  # onnx.TensorProto.UINT8


def describe(
    model: Any, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]], *, layout: str | None = None
) -> None:
    """Name inputs and outputs, in place, and keep scales and layout in the metadata that edgepack's runner reads.

    Args:
        model: `onnx.ModelProto`.
        inputs: The inputs in the form of `edgepack.runner.tensors.TensorSpec`, channels last, in the graph's order.
        outputs: The outputs.
        layout: ``"nchw"`` where the inputs' channels stand behind the batch axis in the graph.
    """
    graph = model.graph
    _rename(graph, [spec["name"] for spec in (*inputs, *outputs)])
    for key, specs, values in (("edgepack.inputs", inputs, graph.input), ("edgepack.outputs", outputs, graph.output)):
        own = {"layout": layout} if layout and key == "edgepack.inputs" else {}
        entry = model.metadata_props.add()
        entry.key = key
        entry.value = json.dumps([_typed(spec, value) | own for spec, value in zip(specs, values, strict=True)])


def _typed(spec: dict[str, Any], value: Any) -> dict[str, Any]:
    """A tensor as the graph has it: the integers of a ``.tflite`` may be unsigned there, its axes in another order."""
    kind = value.type.tensor_type
    shape = [axis.dim_value or -1 for axis in kind.shape.dim]
    if spec["dtype"] == "int8" and kind.elem_type == UINT8:
        spec = {**spec, "dtype": "uint8", "zero_point": spec["zero_point"] + SHIFT}
    return {**spec, "shape": shape}


def _rename(graph: Any, wanted: Sequence[str]) -> None:
    names = {}
    for value, name in zip((*graph.input, *graph.output), wanted, strict=True):
        names[value.name] = name
        value.name = name
        batch = value.type.tensor_type.shape.dim[0]
        if not batch.HasField("dim_value"):
            batch.dim_param = "batch"
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
