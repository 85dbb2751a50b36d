"""In which number format does a ``.tflite`` file compute that any tool may have made?"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgepack.contracts import Precision
from edgepack.tflite_models.contents import open_plain

INTEGERS: dict[type, Precision] = {np.int8: "int8", np.uint8: "int8", np.int16: "int16x8"}
"""What activations of a type make of a file; 8 bits without sign are 8 bits."""

WEIGHTS = (*INTEGERS, np.float16, np.float32)
"""Types of weights; biases, shapes and axes have others."""

ENDS = ("QUANTIZE", "DEQUANTIZE", "CAST", "DELEGATE")
"""Operations that compute nothing."""


def precision_of(content: bytes) -> Precision | None:
    """Read off a file what its operations give and what its weights are.

    Integers that operations with weights give decide, whatever else is in float around them; where there are none, the
    smallest weights do.

    Args:
        content: The file.

    Returns:
        None where it cannot be told: integer activations with weights in float, or weights in another type.

    Raises:
        ValueError: LiteRT cannot read the file.
        RuntimeError: It has operations that LiteRT does not have.
    """
    interpreter = open_plain(content)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    operations = [operation for operation in interpreter._get_ops_details() if operation["op_name"] != "DELEGATE"]
    made = {int(index): operation for operation in operations for index in operation["outputs"]}
    given = {detail["index"] for detail in interpreter.get_input_details()}

    def weight(index: int) -> type | None:
        """The type in which a constant is stored that an operation reads, perhaps through a DEQUANTIZE."""
        maker = made.get(index)
        if maker is not None and maker["op_name"] == "DEQUANTIZE":
            index = int(maker["inputs"][0])
        if index in made or index in given or index not in details:
            return None
        kind: type = details[index]["dtype"]
        return kind if kind in WEIGHTS else None

    computing = [operation for operation in operations if operation["op_name"] not in ENDS]
    read = [(operation, {weight(int(index)) for index in operation["inputs"]} - {None}) for operation in computing]
    weighted = [operation for operation, kinds in read if kinds]
    stored = {kind for _, kinds in read for kind in kinds}
    activations = Counter(
        INTEGERS[kind] for operation in weighted or computing for kind in _results(operation, details) & INTEGERS.keys()
    )
    if activations:
        chosen, _ = activations.most_common(1)[0]
        return chosen if not weighted or stored & {np.int8, np.uint8} else None
    if stored & {np.int8, np.uint8}:
        return "dynamic_range"
    if np.int16 in stored:
        return None
    return "float16" if np.float16 in stored else "float32"


def _results(operation: Mapping[str, Any], details: Mapping[int, Mapping[str, Any]]) -> set[type]:
    return {details[index]["dtype"] for index in map(int, operation["outputs"]) if index in details}
