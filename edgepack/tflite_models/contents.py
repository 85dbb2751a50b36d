"""Which number formats does a ``.tflite`` file hold, and how many of its weights are zero?"""

import struct
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from edgepack.contracts import Precision
from edgepack.errors import ConversionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL")
"""Operations whose second input is a convolution or dense kernel, where it is a constant."""

DYNAMIC_RANGE_WEIGHTS = 1024
"""The converter's dynamic range leaves kernels with fewer weights in float32."""


@dataclass(frozen=True)
class Kernel:
    """The weights of one convolution or dense layer as they are stored.

    Attributes:
        operation: The operation that reads them, e.g. ``CONV_2D``.
        tensor: The tensor's name.
        values: The stored numbers, in the file's shape and dtype.
        zero_point: The stored number that stands for 0.
    """

    operation: str
    tensor: str
    values: "NDArray[np.generic]"
    zero_point: int


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _of_a_whole_file(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function that reads a file say so where the file is damaged: LiteRT and Python raise as they like."""

    @wraps(read)
    def explained(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return read(*args, **kwargs)
        except (ValueError, RuntimeError, LookupError, TypeError, OverflowError, MemoryError, struct.error) as error:
            reason = (str(error).strip().splitlines() or [""])[0][:300]
            raise ConversionError(
                f"this is no .tflite file that LiteRT can read: {type(error).__name__}: {reason}",
                fix="make the file again, or copy it again",
            ) from error

    return explained


def open_plain(content: bytes) -> Any:
    """A LiteRT interpreter of a file's bytes, without a delegate that would hide operations.

    Raises:
        ValueError: LiteRT cannot read the file. The functions below say ConversionError then.
        RuntimeError: It has operations that LiteRT does not have.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    return interpreter


@_of_a_whole_file
def tensor_specs(content: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs and outputs of a file by their signature names, as plain `TensorSpec` dicts."""
    interpreter = open_plain(content)
    runner = interpreter.get_signature_runner()

    def describe(details: dict[str, Any]) -> list[dict[str, Any]]:
        specs = []
        for name, detail in details.items():
            scale, zero_point = detail["quantization"]
            quantised = detail["dtype"] != np.float32
            specs.append(
                {
                    "name": name,
                    "shape": [int(axis) for axis in detail["shape"]],
                    "dtype": np.dtype(detail["dtype"]).name,
                    "scale": float(scale) if quantised else None,
                    "zero_point": int(zero_point) if quantised else None,
                }
            )
        return specs

    return describe(runner.get_input_details()), describe(runner.get_output_details())


@_of_a_whole_file
def tensor_names(content: bytes) -> set[str]:
    """Names of all tensors of a file."""
    return {str(detail["name"]) for detail in open_plain(content).get_tensor_details() if detail["name"]}


@_of_a_whole_file
def input_names(content: bytes) -> list[str]:
    """Names of the tensors that are inputs, in the file's order."""
    return [str(detail["name"]) for detail in open_plain(content).get_input_details()]


@_of_a_whole_file
def custom_operations(content: bytes) -> list[str]:
    """Names of the operations of a file that are not built into LiteRT; those of TensorFlow begin with ``Flex``."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    codes = (model.OperatorCodes(index).CustomCode() for index in range(model.OperatorCodesLength()))
    return sorted({code.decode(errors="replace") for code in codes if code})


@_of_a_whole_file
def kernels(content: bytes) -> list[Kernel]:
    """List the convolution and dense kernels of a file, each once, in the order of the operations."""
    interpreter = open_plain(content)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()
    producers = {int(index): operation for operation in operations for index in operation["outputs"]}
    inputs = {detail["index"] for detail in interpreter.get_input_details()}
    found: dict[int, Kernel] = {}
    for operation in operations:
        if operation["op_name"] not in WEIGHTED:
            continue
        index = int(operation["inputs"][1])
        producer = producers.get(index)
        if producer is not None and producer["op_name"] == "DEQUANTIZE":
            index = int(producer["inputs"][0])  # stored small, computed in float
        if index in producers or index in inputs or index not in details:
            continue  # a product of two activations
        zero_points = details[index]["quantization_parameters"]["zero_points"]
        found[index] = Kernel(
            operation["op_name"],
            str(details[index]["name"]),
            interpreter.get_tensor(index),
            int(zero_points[0]) if len(zero_points) else 0,
        )
    return list(found.values())


def sparsity(content: bytes) -> float:
    """Share of zeros among the weights of all convolution and dense kernels of a file, in [0, 1].

    In an int8 file a weight counts as zero that is less than half a step from it, pruned or not.
    """
    stored = kernels(content)
    total = sum(kernel.values.size for kernel in stored)
    zeros = sum(int(np.count_nonzero(kernel.values == kernel.zero_point)) for kernel in stored)
    return zeros / total if total else 0.0


def deflated_bytes(content: bytes) -> int:
    """Size of a file inside an APK or zip archive, bytes: deflate at its highest level (RFC 1951)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(compressor.compress(content)) + len(compressor.flush())


@_of_a_whole_file
def float_operations(content: bytes) -> list[str]:
    """Name the operations of a file that compute in float: ``op 'output tensor'``.

    What turns the model's output into float32 at the very end computes nothing.
    """
    interpreter = open_plain(content)
    return [f"{name} {tensor!r}" for name, tensor in _floats(interpreter)]


def _float_front(content: bytes) -> set[str]:
    """Name, as `float_operations` does, the operations in front of everything that is quantised.

    Such an operation reads nothing but a float32 input, constants, and what others like it made of these.
    """
    interpreter = open_plain(content)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()
    made = {int(index) for operation in operations for index in operation["outputs"]}
    plain = {detail["index"] for detail in interpreter.get_input_details() if detail["dtype"] == np.float32}
    integers = {index for index, detail in details.items() if detail["dtype"] in (np.int8, np.int16)}
    inputs = {detail["index"] for detail in interpreter.get_input_details()}
    front = set()
    for operation in operations:
        reads = {int(index) for index in operation["inputs"] if index in made or index in inputs}
        writes = {int(index) for index in operation["outputs"]}
        if reads <= plain and not writes & integers:
            plain |= writes
            front |= {f"{operation['op_name']} {str(details[index]['name'])[:80]!r}" for index in writes}
    return front


@_of_a_whole_file
def require(content: bytes, precision: Precision, *, float_front: bool = False, in_float: Collection[str] = ()) -> None:
    """Check that a file is stored and computed in the number format that its name will say.

    Args:
        content: The file.
        precision: The number format.
        float_front: The model's first layer is meant to stay in float; what follows is not.
        in_float: Names of layers whose kernels are meant to be in float.

    Raises:
        ConversionError: It is not; the message names the operations or the tensors.
    """
    if precision == "int8" and not in_float:
        allowed = _float_front(content) if float_front else set()
        remaining = [operation for operation in float_operations(content) if operation not in allowed]
        if remaining:
            raise ConversionError(
                f"full int8 was asked for, but these operations stayed in float: {', '.join(remaining)}",
                fix="replace the layers, or export float32 as well and see `edgepack doctor MODEL`",
            )
    if precision == "int16x8":
        _require_int16_activations(content)
    stored = kernels(content)
    expected = {"float32": np.float32, "float16": np.float16}.get(precision, np.int8)
    others = [kernel for kernel in stored if kernel.values.dtype != expected]
    if precision == "dynamic_range":
        if stored and len(others) == len(stored):
            largest = max(kernel.values.size for kernel in stored)
            raise ConversionError(
                f"dynamic range was asked for, but every kernel stayed in float: the largest has {largest:,} weights, "
                f"and the converter quantises from {DYNAMIC_RANGE_WEIGHTS:,} on",
                fix="export float16 or int8 for a model this small",
            )
        _require_float_activations(content)
        return
    others = [kernel for kernel in others if not _is_of(kernel.tensor, in_float)]
    if others:
        listed = ", ".join(f"{kernel.tensor!r} ({kernel.values.dtype})" for kernel in others[:5])
        raise ConversionError(
            f"{precision} was asked for, but these kernels are not {np.dtype(expected).name}: {listed}",
            fix="report this with the model; export float32 meanwhile",
        )


def _is_of(tensor: str, layers: Collection[str]) -> bool:
    """Whether a tensor's name says that one of these layers made it: ``model/layer/Conv2D;model/layer/BiasAdd``."""
    parts = {part.removeprefix("quant_") for name in tensor.split(";") for part in name.split("/")}
    return not parts.isdisjoint(layers)


def _require_int16_activations(content: bytes) -> None:
    interpreter = open_plain(content)
    floats = [f"{name} {tensor!r}" for name, tensor in _floats(interpreter)]
    if floats or not any(dtype == np.int16 for _, _, dtype in _outputs(interpreter)):
        what = f"these operations stayed in float: {', '.join(floats)}" if floats else "no operation is in int16"
        raise ConversionError(
            f"int16 activations were asked for, but {what}", fix="export int8 or float16 instead, or replace the layers"
        )


def _require_float_activations(content: bytes) -> None:
    integers = [
        f"{name} {tensor!r}" for name, tensor, dtype in _outputs(open_plain(content)) if dtype in (np.int8, np.int16)
    ]
    if integers:
        raise ConversionError(
            f"dynamic range was asked for, but these operations give integers: {', '.join(integers)}",
            fix="report this with the model; export float32 meanwhile",
        )


def _floats(interpreter: Any) -> list[tuple[str, str]]:
    """(operation, first output's name) of each operation in float but a DEQUANTIZE that makes the model's output."""
    ends = {str(detail["name"]) for detail in interpreter.get_output_details()}
    return [
        (name, tensor)
        for name, tensor, dtype in _outputs(interpreter)
        if dtype == np.float32 and not (name == "DEQUANTIZE" and tensor in ends)
    ]


def _outputs(interpreter: Any) -> list[tuple[str, str, Any]]:
    """(operation, first output's name, dtype) of each operation; float where any of its outputs is."""
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    found = []
    for operation in interpreter._get_ops_details():
        outputs = [details[index] for index in operation["outputs"] if index in details]
        if outputs and operation["op_name"] != "DELEGATE":
            dtypes = [output["dtype"] for output in outputs]
            dtype = np.float32 if np.float32 in dtypes else dtypes[0]
            found.append((operation["op_name"], str(outputs[0]["name"])[:80], dtype))
    return found
