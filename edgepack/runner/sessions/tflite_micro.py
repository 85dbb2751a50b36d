"""How does a .tflite file run under TensorFlow Lite for Microcontrollers, as it would in firmware?"""

import math
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunnerError
from ..tensors import TensorSpec
from ._common import NUMPY_EXCLUDE, SessionBase, check_feed, closed, first_line

FORMAT = "tflite"
ACCELERATOR: str | None = None
MODULE = "tflite_micro"
REQUIREMENTS = ("tflite-micro", "flatbuffers", "numpy")
EXCLUDE = (*NUMPY_EXCLUDE, "tflite_micro/tensorflow/lite/micro/compression/*")

ROOM = 1 << 20
"""Bytes of working memory beyond twice what all tensors take together: more than enough. Where it is short, some sizes
end the process instead of being refused (seen with 0.dev20261023182759)."""
UNKNOWN_OPERATION = "it does not know one of its operations in this precision; the line that it printed says which"
FLOATS = (0, 1)
"""Types float32 and float16 in the schema of .tflite files."""


def version() -> str:
    """The runtime's version; imports the runtime.

    Raises:
        RunnerError: It is not installed.
    """
    try:
        from tflite_micro.python.tflite_micro import _version
    except ImportError as error:
        raise RunnerError(
            f"TensorFlow Lite for Microcontrollers cannot be imported ({first_line(error)}); install tflite-micro, "
            "which comes for Linux on x86-64"
        ) from error
    return str(_version.__version__)


class Session(SessionBase):
    """A .tflite file in the interpreter of TensorFlow Lite for Microcontrollers, built for this host.

    Its kernels are portable loops in integers, the ones that firmware falls back on where a processor has none of its
    own, and it computes on one thread.

    Args:
        path: The model's file.
        threads: Not used.

    Raises:
        RunnerError: The runtime is not installed or refuses the file.
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        self._version = version()
        from tflite_micro.python.tflite_micro import runtime

        content = Path(path).read_bytes()
        try:
            graph = runtime.convert_bytearray_to_object(content).subgraphs[0]
            self._graph: Any = graph
            self.inputs = tuple(_spec(graph.tensors[index]) for index in graph.inputs)
            self.outputs = tuple(_spec(graph.tensors[index]) for index in graph.outputs)
            size = 2 * sum(_bytes(tensor) for tensor in graph.tensors) + ROOM
            self._interpreter: Any = runtime.Interpreter.from_bytes(content, arena_size=size)
        except Exception as error:  # whatever flatbuffers, which checks nothing, makes of a damaged file
            told = str(error) if isinstance(error, RunnerError) else first_line(error)
            reason = UNKNOWN_OPERATION if isinstance(error, RuntimeError) else told
            raise RunnerError(
                f"TensorFlow Lite for Microcontrollers {self._version} cannot load {Path(path).name}: {reason}"
            ) from error
        self.invoke = self._interpreter.invoke

    @property
    def details(self) -> dict[str, Any]:
        """Version, working memory, and how many operations compute in integers and in float, by what they give.

        ``arena_bytes`` is what the interpreter takes on this host; a 32-bit micro-controller needs less, for what is
        kept of each tensor and operation has pointers of half the size there.
        """
        operations = [operation for operation in self._graph.operators if len(operation.outputs)]
        given = [self._graph.tensors[operation.outputs[0]] for operation in operations]
        floats = [tensor.name.decode() for tensor in given if tensor.type in FLOATS]
        return {
            "version": self._version,
            "nodes_by": {"TensorFlow Lite Micro": len(given)},
            "arena_bytes": _recorded_bytes(self._interpreter),
            "integer_nodes": len(given) - len(floats),
            "float_nodes": len(floats),
            "in_float": floats if len(floats) < len(given) else [],
        }

    def set_inputs(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into the interpreter.

        Raises:
            UsageError: A name, shape or dtype is not the model's.
        """
        check_feed(feed, self.inputs)
        for index, spec in enumerate(self.inputs):
            self._interpreter.set_input(feed[spec.name], index)

    def get_outputs(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs of the last ``invoke``, by name, in their raw dtypes."""
        return {spec.name: np.array(self._interpreter.get_output(index)) for index, spec in enumerate(self.outputs)}

    def close(self) -> None:
        """Give the model's memory back."""
        self._interpreter = None
        self.invoke = closed


def _recorded_bytes(interpreter: Any) -> int | None:
    """What the interpreter says of the memory it has taken; it tells nobody but the process's standard error."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            interpreter.print_allocations()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        found = re.search(rb"Arena allocation total (\d+) bytes", file.read())
    return int(found[1]) if found else None


def _bytes(tensor: Any) -> int:
    return 8 * math.prod(max(1, int(size)) for size in (tensor.shape if tensor.shape is not None else ()))


def _spec(tensor: Any) -> TensorSpec:
    kinds = {0: "float32", 2: "int32", 3: "uint8", 6: "bool", 7: "int16", 9: "int8"}
    if tensor.type not in kinds:
        raise RunnerError(f"the tensor {tensor.name.decode()!r} has a type that is not read here ({tensor.type})")
    known = tensor.quantization
    scales = known.scale if known is not None and known.scale is not None else []
    return TensorSpec(
        name=tensor.name.decode(),
        shape=tuple(int(size) for size in tensor.shape),
        dtype=kinds[tensor.type],
        scale=float(scales[0]) if len(scales) else None,
        zero_point=int(known.zeroPoint[0]) if len(scales) else None,
    )
