"""Does a response carry every value exactly, in JSON and as binary data?"""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgepack.serving.datatypes import NUMPY, PROTOCOL
from edgepack.serving.errors import RequestError
from edgepack.serving.response import Given, encode

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def outputs() -> Any:
    """(values, binary)."""

    def of(name: str) -> Any:
        finite = {"allow_nan": False, "allow_infinity": False} if name.startswith("float") else None
        return st.tuples(arrays.arrays(name, SHAPES, elements=finite), st.booleans())

    return st.sampled_from(sorted(NUMPY.values())).flatmap(of)


@given(st.lists(outputs(), min_size=1, max_size=3))
def test_a_client_gets_back_what_the_model_gave(given_outputs: list[tuple[Any, bool]]) -> None:
    sent = [Given(f"y{place}", values.T, binary) for place, (values, binary) in enumerate(given_outputs)]
    body, headers = encode(sent, model="m", version="1", request_id="r")
    told = dict(headers).get(b"inference-header-content-length")
    assert (told is None) == (not any(output.binary for output in sent))
    head = orjson.loads(body[: int(told)] if told else body)
    assert (head["model_name"], head["model_version"], head["id"]) == ("m", "1", "r")
    rest = memoryview(body)[int(told) :] if told else memoryview(b"")
    for tensor, output in zip(head["outputs"], sent, strict=True):
        assert tensor["datatype"] == PROTOCOL[output.values.dtype.name]
        if output.binary:
            size = tensor["parameters"]["binary_data_size"]
            found = np.frombuffer(rest[:size], output.values.dtype)
            rest = rest[size:]
        else:
            found = np.array(tensor["data"], dtype=output.values.dtype)
        np.testing.assert_array_equal(found.reshape(tensor["shape"]), output.values)
    assert not rest


def test_what_json_cannot_carry_is_refused_and_goes_out_as_binary_data() -> None:
    values = np.array([np.nan, np.inf], np.float32)
    with pytest.raises(RequestError, match="ask for binary_data") as caught:
        encode([Given("y", values, False)], model="m", version="1", request_id=None)
    assert caught.value.status == 500
    body, _ = encode([Given("y", values, True)], model="m", version="1", request_id=None)
    assert body.endswith(values.tobytes())
