"""How do outputs become the body of an inference response, in JSON or as binary tensor data?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from .datatypes import NUMPY
from .errors import RequestError

DATATYPES = {np.dtype(name): datatype for datatype, name in NUMPY.items()}


@dataclass(frozen=True)
class Given:
    """An output to be sent: its values, and whether they go out as binary data."""

    name: str
    values: NDArray[Any]
    binary: bool


def encode(
    outputs: Sequence[Given], *, model: str, version: str, request_id: str | None
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """The body of a response and the headers that say what it is.

    Args:
        outputs: In the order in which they go out.
        model: The model's name.
        version: Its version.
        request_id: What the request called itself.

    Raises:
        RequestError: JSON was asked for and cannot carry a value.
    """
    tensors = []
    pieces = []
    for output in outputs:
        values = np.ascontiguousarray(output.values)
        tensor: dict[str, Any] = {
            "name": output.name,
            "datatype": DATATYPES[values.dtype],
            "shape": list(values.shape),
        }
        if output.binary:
            piece = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
            tensor["parameters"] = {"binary_data_size": len(piece)}
            pieces.append(piece)
        else:
            tensor["data"] = _json_values(values, output.name)
        tensors.append(tensor)
    said: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": tensors}
    if request_id is not None:
        said["id"] = request_id
    head = orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)
    if not pieces:
        return head, ((b"content-type", b"application/json"),)
    return b"".join([head, *pieces]), (
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", str(len(head)).encode()),
    )


def _json_values(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise RequestError(
            500, f"the output {name!r} holds NaN or infinity, which JSON cannot carry; ask for binary_data"
        )
    # orjson writes numpy's numbers itself, each with as few digits as its own type needs.
    return values.ravel()
