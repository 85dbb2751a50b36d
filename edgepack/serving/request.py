"""What does the body of an inference request ask for, in JSON or with binary tensor data?

Open Inference Protocol v2, "Inference Request JSON Object", and its binary tensor data extension: the JSON object comes
first, ``Inference-Header-Content-Length`` bytes long, then the tensors that have a ``binary_data_size``, one after the
other, in little-endian order. What the object asks of the model is checked in `model.py`.
"""

import base64
import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from .datatypes import NUMPY, PICTURES, SIZE_BYTES
from .errors import RequestError

LARGEST_AXIS = 2**31 - 1
MOST_TENSORS = 256
FLAGS = ("binary_data_output", "preprocess", "raw_output")


@dataclass(frozen=True)
class Wanted:
    """An output that the client asks for; ``binary`` is None where it leaves that to the request."""

    name: str
    binary: bool | None


@dataclass(frozen=True)
class Asked:
    """An inference request.

    Attributes:
        id: The client's own name for it, to be given back.
        inputs: Datatype and values of each tensor that was sent, by name; values have the shape that was told, and
            dtype object, each a ``bytes``, for the datatype BYTES.
        outputs: The outputs that are wanted; None means all.
        binary_output: Outputs go out as binary data unless they say otherwise.
        preprocess: Inputs are samples as in the data set; the preprocessing that the manifest records is to be done.
        raw_output: Quantised outputs stay integers; None means: as the inputs came.
        timeout_s: Seconds after which the client has no use for the answer.
    """

    id: str | None
    inputs: Mapping[str, tuple[str, NDArray[Any]]]
    outputs: tuple[Wanted, ...] | None
    binary_output: bool
    preprocess: bool
    raw_output: bool | None
    timeout_s: float | None


def parse(body: bytes, header_length: bytes | None) -> Asked:
    """Read a request's body.

    Args:
        body: All of it.
        header_length: The header ``Inference-Header-Content-Length``; None where there is none, and the body is JSON.

    Raises:
        RequestError: It is no request of this protocol; the message says what was expected.
    """
    split = len(body) if header_length is None else _length(header_length, len(body))
    whole = memoryview(body)
    try:
        said = orjson.loads(whole[:split])
    except orjson.JSONDecodeError as error:
        hint = "; tensors behind it need the header Inference-Header-Content-Length" if header_length is None else ""
        raise RequestError(400, f"the request is not JSON: {error}{hint}") from error
    _keys(said, ("id", "parameters", "inputs", "outputs"), "the request")
    parameters = _parameters(said, (*FLAGS, "timeout"), "the request")
    return Asked(
        id=_text(said["id"], "id") if "id" in said else None,
        inputs=_inputs(said.get("inputs"), whole[split:]),
        outputs=_outputs(said["outputs"]) if "outputs" in said else None,
        binary_output=bool(_flag(parameters, "binary_data_output")),
        preprocess=bool(_flag(parameters, "preprocess")),
        raw_output=_flag(parameters, "raw_output"),
        timeout_s=_timeout(parameters),
    )


def _length(given: bytes, size: int) -> int:
    if not given.isdigit() or len(given) > 18 or int(given) > size:
        told = given[:40].decode("latin-1")
        raise RequestError(
            400, f"Inference-Header-Content-Length is {told!r}; expected a length of at most the body's {size} bytes"
        )
    return int(given)


def _inputs(given: Any, binary: memoryview) -> dict[str, tuple[str, NDArray[Any]]]:
    found: dict[str, tuple[str, NDArray[Any]]] = {}
    start = 0
    for entry in _entries(given, "inputs"):
        _keys(entry, ("name", "shape", "datatype", "parameters", "data"), "an input")
        name = _text(entry.get("name"), "name of an input")
        if name in found:
            raise RequestError(400, f"the input {name!r} is there twice")
        datatype, shape = _datatype(entry.get("datatype"), name), _shape(entry.get("shape"), name)
        size = _parameters(entry, ("binary_data_size",), f"input {name!r}").get("binary_data_size")
        if (size is None) == ("data" not in entry):
            raise RequestError(400, f"input {name!r} needs either data or the parameter binary_data_size")
        values: NDArray[Any]
        if datatype == PICTURES:
            values = _files(entry.get("data"), binary[start:], size, shape, name)
        elif size is None:
            values = _from_json(entry["data"], datatype, shape, name)
        else:
            values = _from_bytes(binary[start:], size, datatype, shape, name)
        start += size or 0
        found[name] = (datatype, values)
    if start != len(binary):
        raise RequestError(
            400, f"{len(binary)} bytes of binary data; the inputs' binary_data_size are {start} together"
        )
    return found


def _outputs(given: Any) -> tuple[Wanted, ...]:
    wanted = []
    for entry in _entries(given, "outputs"):
        _keys(entry, ("name", "parameters"), "an output")
        name = _text(entry.get("name"), "name of an output")
        wanted.append(Wanted(name, _flag(_parameters(entry, ("binary_data",), f"output {name!r}"), "binary_data")))
    names = [output.name for output in wanted]
    if len(set(names)) != len(names):
        raise RequestError(400, f"an output is asked for twice: {', '.join(names)[:200]}")
    return tuple(wanted)


def _from_json(data: Any, datatype: str, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Values from a flat or nested list; nothing is cut off or taken for another type in silence."""
    if not isinstance(data, list):
        raise RequestError(400, f"the data of input {name!r} is no list")
    try:
        plain = np.asarray(data)
    except ValueError as error:
        raise RequestError(400, f"the data of input {name!r} is a ragged list; expected {list(shape)}") from error
    kinds = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}[np.dtype(NUMPY[datatype]).kind]
    if plain.size != math.prod(shape) or plain.shape not in (shape, (plain.size,)):
        raise RequestError(
            400, f"input {name!r} has data of shape {list(plain.shape)}; its shape says {list(shape)}, nested or flat"
        )
    if plain.size and plain.dtype.kind not in kinds:
        raise RequestError(400, f"the data of input {name!r} is not all {datatype}")
    with np.errstate(over="ignore"):
        values = plain.astype(NUMPY[datatype])
    fits = np.isfinite(values).all() if values.dtype.kind == "f" else (values == plain).all()
    if not fits:
        raise RequestError(400, f"the data of input {name!r} holds a number that {datatype} cannot hold")
    return values.reshape(shape)


def _files(data: Any, rest: memoryview, size: Any, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """The elements of a tensor of BYTES: base64 in JSON, or each behind its length in four bytes."""
    files: list[bytes] = []
    if size is None:
        if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
            raise RequestError(400, f"the data of input {name!r} is no list of texts; expected files in base64")
        try:
            files = [base64.b64decode(text, validate=True) for text in data]
        except ValueError as error:
            raise RequestError(400, f"the data of input {name!r} is not base64: {error}") from error
    else:
        if type(size) is not int or not 0 <= size <= len(rest):
            told = f"binary_data_size {str(size)[:40]}"
            raise RequestError(400, f"input {name!r} has {told}; {len(rest)} bytes are left of the body")
        start = 0
        while start < size:
            begin, length = start + 4, int.from_bytes(rest[start : start + 4], "little")
            start = begin + length
            if start > size:
                raise RequestError(400, f"element {len(files)} of input {name!r} is longer than its binary_data_size")
            files.append(bytes(rest[begin:start]))
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)) or len(files) != shape[0]:
        raise RequestError(
            400, f"input {name!r} has {len(files)} elements and the shape {list(shape)}; expected [{len(files)}]"
        )
    values = np.empty(len(files), dtype=object)
    values[:] = files
    return values


def _from_bytes(rest: memoryview, size: Any, datatype: str, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    expected = math.prod(shape) * SIZE_BYTES[datatype]
    if type(size) is not int or size != expected:
        raise RequestError(
            400,
            f"input {name!r} has binary_data_size {str(size)[:40]}; {datatype} of shape {list(shape)} takes {expected}",
        )
    if size > len(rest):
        raise RequestError(
            400, f"input {name!r} has binary_data_size {size}, and {len(rest)} bytes are left of the body"
        )
    values = np.frombuffer(rest[:size], np.dtype(NUMPY[datatype]).newbyteorder("<"))
    if datatype == "BOOL" and values.view(np.uint8).max(initial=0) > 1:
        raise RequestError(400, f"the data of input {name!r} holds bytes other than 0 and 1; expected BOOL")
    return values.reshape(shape)


def _entries(given: Any, key: str) -> list[Any]:
    if not isinstance(given, list) or not 0 < len(given) <= MOST_TENSORS:
        raise RequestError(400, f"{key} must be a list of 1 to {MOST_TENSORS} tensors")
    return given


def _keys(given: Any, known: Collection[str], where: str) -> None:
    if not isinstance(given, dict):
        raise RequestError(400, f"{where} is no JSON object")
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
            raise RequestError(400, f"{where} has an unknown key {key[:60]!r}; {hint}")


def _parameters(given: Mapping[str, Any], known: Collection[str], where: str) -> dict[str, Any]:
    parameters = given.get("parameters", {})
    _keys(parameters, known, f"parameters of {where}")
    return dict(parameters)


def _flag(parameters: Mapping[str, Any], key: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise RequestError(400, f"the parameter {key} is {str(value)[:40]}; expected true or false")
    return value


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    """Triton's parameter ``timeout``, microseconds."""
    value = parameters.get("timeout")
    if value is None or value == 0:
        return None
    if type(value) is not int or value < 0:
        raise RequestError(400, f"the parameter timeout is {str(value)[:40]}; expected microseconds")
    return value / 1e6


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise RequestError(400, f"the {what} is no text of at most 1000 characters")
    return value


def _datatype(value: Any, name: str) -> str:
    if not isinstance(value, str) or value not in (*NUMPY, PICTURES):
        told = f"datatype {str(value)[:40]!r}"
        raise RequestError(400, f"input {name!r} has {told}; expected one of {', '.join((*NUMPY, PICTURES))}")
    return value


def _shape(value: Any, name: str) -> tuple[int, ...]:
    fits = isinstance(value, list) and len(value) <= 16
    if not fits or any(type(size) is not int or not 0 <= size <= LARGEST_AXIS for size in value):
        raise RequestError(400, f"input {name!r} has no shape; expected a list of sizes, e.g. [1, 28, 28, 1]")
    return tuple(value)
