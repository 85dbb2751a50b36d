"""What do the tests of serving share: a model that is a function, and requests as clients write them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from edgepack.runner.tensors import TensorSpec
from edgepack.serving.model import Model


def float_model(rows: int = 4, **changed: Any) -> Model:
    """A model of two numbers a row, whose batch axis is free."""
    fields: dict[str, Any] = {
        "name": "pair",
        "version": "1",
        "platform": "test",
        "inputs": (TensorSpec("x", (-1, 2), "float32"),),
        "outputs": (TensorSpec("y", (-1, 2), "float32"),),
        "max_rows": rows,
        "preprocessing": (0.5, 1.0),
    }
    return Model(**{**fields, **changed})


def integer_model() -> Model:
    """A quantised model with a batch of one and its channels first."""
    return float_model(
        rows=1,
        inputs=(TensorSpec("x", (1, 2, 3, 1), "int8", 0.5, -3, "nchw"),),
        outputs=(TensorSpec("y", (1, 2), "uint8", 0.25, 10),),
    )


def written(tensors: Sequence[tuple[str, str, NDArray[Any], bool]], **rest: Any) -> tuple[bytes, bytes | None]:
    """A request's body and its header length, from (name, datatype, values, binary)."""
    inputs = []
    binary = b""
    for name, datatype, values, as_bytes in tensors:
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(values.shape)}
        if as_bytes:
            tensor["parameters"] = {"binary_data_size": values.nbytes}
            binary += values.tobytes()
        else:
            tensor["data"] = values.tolist()
        inputs.append(tensor)
    head = orjson.dumps({"inputs": inputs, **rest})
    return head + binary, str(len(head)).encode() if binary else None


@pytest.fixture
def doubled() -> Any:
    """What stands for a runtime: y = 2 x, and a list of the batches that it was given."""
    batches: list[int] = []

    def run(feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        batches.append(len(feed["x"]))
        return {"y": feed["x"] * np.float32(2)}

    run.batches = batches  # type: ignore[attr-defined]
    return run
