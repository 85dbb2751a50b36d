"""Is a file an ONNX model that keeps the rules of ONNX?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepack.errors import ConversionError


def read(path: Path) -> Any:
    """Read a file and check it with ONNX's own checker, so that whatever works on its graph can rely on its form.

    Returns:
        `onnx.ModelProto`.

    Raises:
        ConversionError: It is no ONNX model, or one that breaks the rules.
    """
    import onnx

    try:
        model = onnx.load(path)
        check(model)
    except Exception as error:  # protobuf, the checker and external data raise classes of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ConversionError(
            f"{path.name} is no valid ONNX model: {reason}", fix="make the file again, or copy it again"
        ) from error
    return model


def check(model: Any, *, numbers: bool = True) -> None:
    """Check a model whose weights are in it, and that every name is text.

    Args:
        model: `onnx.ModelProto`.
        numbers: Whether constants must have as many numbers as their shapes say.

    Raises:
        Exception: Of ONNX's checker, numpy or this function: what is wrong.
    """
    import onnx

    onnx.checker.check_model(model)
    for tensor in (
        model.graph.initializer if numbers else ()
    ):  # the checker does not count the numbers of every constant
        onnx.numpy_helper.to_array(tensor)
    if any(isinstance(text, bytes) for text in _texts(model)):  # what protobuf gives for a text that is no UTF-8
        raise ValueError("a name is no text")


def _texts(model: Any) -> Iterator[object]:
    """Names in a graph, and what else is text by the rules of ONNX."""
    graph = model.graph
    yield graph.name
    for named in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        yield named.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
