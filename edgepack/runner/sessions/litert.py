"""How does a .tflite file run under LiteRT, with which kernels, and how much of it does XNNPACK take?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunnerError, UsageError
from ..tensors import TensorSpec
from ._common import NUMPY_EXCLUDE, SessionBase, check_feed, closed, first_line

FORMAT = "tflite"
ACCELERATOR: str | None = None
MODULE = "ai_edge_litert"
# Of the wheel's declared dependencies (flatbuffers, protobuf, tqdm, ml_dtypes ...) the interpreter imports
# none.
REQUIREMENTS = ("ai-edge-litert", "numpy")
# The interpreter lives in libpywrap_litert_common.so alone; the rest is GPU, NPU compilers and conversion.
EXCLUDE = (
    *NUMPY_EXCLUDE,
    "ai_edge_litert/libLiteRt.so",
    "ai_edge_litert/libLiteRt*Accelerator.so",
    "ai_edge_litert/aot/*",
    "ai_edge_litert/tflite/*",
    "ai_edge_litert/tools/*",
    "ai_edge_litert/vendors/*",
    "ai_edge_litert/schema_py_generated.py",
    "ai_edge_litert/*_pb2.py",
)

KERNELS = {
    "xnnpack": "BUILTIN",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


def version() -> str:
    """The runtime's version; imports the runtime.

    Raises:
        RunnerError: It is not installed.
    """
    try:
        import ai_edge_litert.interpreter
    except ImportError as error:
        raise RunnerError(f"LiteRT cannot be imported ({first_line(error)}); install ai-edge-litert") from error
    return str(ai_edge_litert.__version__)


class Session(SessionBase):
    """A .tflite file in LiteRT's interpreter.

    Args:
        path: The model's file.
        threads: Threads that one inference may use.
        kernels: ``"xnnpack"`` (what LiteRT does by default), ``"builtin"`` (its own optimised kernels, no
            delegate) or ``"reference"`` (plain loops: slow, the definition of what is right).

    Raises:
        UsageError: ``kernels`` is none of these.
        RunnerError: LiteRT is not installed or refuses the file.
    """

    def __init__(self, path: Path | str, threads: int = 1, *, kernels: str = "xnnpack") -> None:
        if kernels not in KERNELS:
            raise UsageError(f"kernels={kernels!r}; expected one of: {', '.join(KERNELS)}")
        self._version = version()
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._kernels = kernels
        try:
            interpreter = Interpreter(
                str(path),
                num_threads=threads,
                experimental_op_resolver_type=OpResolverType[KERNELS[kernels]],
            )
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RunnerError(f"LiteRT {self._version} cannot load {Path(path).name}: {first_line(error)}") from error
        self._interpreter: Any = interpreter
        self._input_index = {d["name"]: int(d["index"]) for d in interpreter.get_input_details()}
        self._output_index = {d["name"]: int(d["index"]) for d in interpreter.get_output_details()}
        self.inputs = tuple(_spec(d) for d in interpreter.get_input_details())
        self.outputs = tuple(_spec(d) for d in interpreter.get_output_details())
        self._shapes = {d["name"]: tuple(d["shape"].tolist()) for d in interpreter.get_input_details()}
        self.invoke = interpreter.invoke

    @property
    def details(self) -> dict[str, Any]:
        """Version, kernels asked for, the delegate that really applied (or None), and what it took.

        ``nodes``, ``nodes_delegated``, ``partitions``, ``nodes_by`` (XNNPACK and LiteRT's own kernels);
        ``integer_nodes`` and ``float_nodes`` by what they give; ``not_delegated``, and ``in_float`` where others are in
        integers: names of operations.
        """
        taken = _delegation(self._interpreter)
        # XNNPACK is the only delegate that the resolver knows; where it cannot run, LiteRT says nothing.
        return {
            "version": self._version,
            "kernels": self._kernels,
            "delegate": "XNNPACK" if taken["partitions"] else None,
            "nodes_by": _shares(taken["nodes"], taken["nodes_delegated"]),
            **taken,
        }

    def set_inputs(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into the interpreter; another batch size than the last re-plans its memory.

        Raises:
            UsageError: A name, shape or dtype is not the model's.
        """
        check_feed(feed, self.inputs)
        resized = {name: array for name, array in feed.items() if array.shape != self._shapes[name]}
        for name, array in resized.items():
            self._interpreter.resize_tensor_input(self._input_index[name], array.shape, strict=True)
            self._shapes[name] = array.shape
        if resized:
            self._interpreter.allocate_tensors()
        for name, array in feed.items():
            self._interpreter.set_tensor(self._input_index[name], array)

    def get_outputs(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs of the last ``invoke``, by name, in their raw dtypes."""
        return {name: self._interpreter.get_tensor(index) for name, index in self._output_index.items()}

    def close(self) -> None:
        """Give the model's memory back."""
        self._interpreter = None
        self.invoke = closed


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    scales = details["quantization_parameters"]["scales"]
    zero_points = details["quantization_parameters"]["zero_points"]
    signature = details["shape_signature"]
    shape = signature if len(signature) == len(details["shape"]) else details["shape"]
    if len(scales) > 1:
        raise RunnerError(f"tensor {details['name']!r} has {len(scales)} scales; expected one for an input or output")
    return TensorSpec(
        name=str(details["name"]),
        shape=tuple(int(size) for size in shape),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scales[0]) if len(scales) else None,
        zero_point=int(zero_points[0]) if len(scales) else None,
    )


def _shares(nodes: int | None, delegated: int | None) -> dict[str, int] | None:
    if nodes is None or delegated is None:
        return None
    return {name: count for name, count in (("XNNPACK", delegated), ("LiteRT", nodes - delegated)) if count}


def _delegation(interpreter: Any) -> dict[str, Any]:
    """Nodes of the model, how many run in a delegate, and in how many partitions; None where not told.

    LiteRT keeps the replaced nodes in the graph beside the DELEGATE node that took their place, so a
    partition is what is reached from its outputs going backwards, not past its inputs. (The line that LiteRT
    prints when it creates a delegate comes once per process, even when no node is taken, and so tells
    nothing.)
    """
    try:
        ops: Sequence[Mapping[str, Any]] = interpreter._get_ops_details()
    except AttributeError:  # not a documented method
        counts = ("nodes", "nodes_delegated", "partitions", "integer_nodes", "float_nodes")
        return {**dict.fromkeys(counts), "not_delegated": [], "in_float": []}
    plain = [op for op in ops if op["op_name"] != "DELEGATE"]
    partitions = [op for op in ops if op["op_name"] == "DELEGATE"]
    producer = {int(t): op["index"] for op in plain for t in op["outputs"]}
    sources = {op["index"]: [int(t) for t in op["inputs"]] for op in plain}
    taken: set[int] = set()
    for partition in partitions:
        edge = {int(t) for t in partition["inputs"]}
        open_tensors = [int(t) for t in partition["outputs"]]
        while open_tensors:
            node = producer.get(open_tensors.pop())
            if node is not None and node not in taken:
                taken.add(node)
                open_tensors += [t for t in sources[node] if t not in edge]
    tensors = {d["index"]: d for d in interpreter.get_tensor_details()}

    def name(op: Mapping[str, Any]) -> str:
        known = tensors.get(int(op["outputs"][0]), {}) if len(op["outputs"]) else {}
        return f"{op['op_name']} {known.get('name', '')}".strip()

    computing = [op for op in plain if op["op_name"] not in ("QUANTIZE", "DEQUANTIZE") and len(op["outputs"])]
    floats = [op for op in computing if tensors.get(int(op["outputs"][0]), {}).get("dtype") in (np.float32, np.float16)]
    integers = len(computing) - len(floats)
    return {
        "nodes": len(plain),
        "nodes_delegated": len(taken),
        "partitions": len(partitions),
        "integer_nodes": integers,
        "float_nodes": len(floats),
        "not_delegated": [name(op) for op in plain if op["index"] not in taken],
        "in_float": [name(op) for op in floats] if integers else [],
    }
