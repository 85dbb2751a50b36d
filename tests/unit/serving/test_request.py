"""Is every well-formed request read exactly, and every other body refused as the client's error?"""

import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgepack.serving.datatypes import NUMPY
from edgepack.serving.errors import RequestError
from edgepack.serving.request import Asked, parse

from .conftest import written

TENSOR = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}


def tensors() -> Any:
    """(datatype, values) as a client may have them."""

    def of(datatype: str) -> Any:
        shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
        elements = {"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else None
        return st.tuples(st.just(datatype), arrays.arrays(NUMPY[datatype], shapes, elements=elements))

    return st.sampled_from(sorted(NUMPY)).flatmap(of)


@given(st.lists(st.tuples(tensors(), st.booleans()), min_size=1, max_size=4), st.booleans())
def test_what_was_sent_is_what_is_read(sent: list[tuple[tuple[str, Any], bool]], flat: bool) -> None:
    named = [(f"t{i}", datatype, values, binary) for i, ((datatype, values), binary) in enumerate(sent)]
    body, length = written(named, id="me")
    if flat:
        head = orjson.loads(body[: int(length or len(body))])
        for tensor, (_, _, values, _) in zip(head["inputs"], named, strict=True):
            if "data" in tensor:
                tensor["data"] = values.ravel().tolist()
        rest = body[int(length) :] if length else b""
        start = orjson.dumps(head)
        body, length = start + rest, str(len(start)).encode() if length else None
    elif any(values.ndim == 0 or 0 in values.shape for _, _, values, binary in named if not binary):
        return  # a scalar or an empty tensor has no nested list
    asked = parse(body, length)
    assert asked.id == "me" and list(asked.inputs) == [name for name, *_ in named]
    for name, datatype, values, _ in named:
        found_type, found = asked.inputs[name]
        assert (found_type, found.shape, found.dtype) == (datatype, values.shape, values.dtype)
        np.testing.assert_array_equal(found, values)


@given(st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=6), st.integers(0, 250)))
def test_noise_is_the_clients_error(body: bytes, length: bytes | int | None) -> None:
    header = str(length).encode() if isinstance(length, int) else length
    with pytest.raises(RequestError) as caught:
        parse(body, header)
    assert caught.value.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
KEYS = ("id", "parameters", "inputs", "outputs", "name", "shape", "datatype", "data")
PLACES = (("inputs", 0), ("inputs", 0, "parameters"), ("outputs", 0), ("parameters",), ())


@given(st.sampled_from(PLACES), st.sampled_from([*KEYS, "binary_data_size", "binary_data", "timeout"]), JSON)
def test_a_request_with_anything_in_any_place_is_read_or_refused(place: Any, key: str, value: Any) -> None:
    said: Any = {"inputs": [{**TENSOR, "parameters": {}}], "outputs": [{"name": "y"}], "parameters": {}}
    inner = said
    for step in place:
        inner = inner[step]
    inner[key] = value
    try:
        asked = parse(orjson.dumps(said), None)
    except RequestError as error:
        refused = error.status
    else:
        refused = 400
        assert isinstance(asked, Asked)
        for datatype, values in asked.inputs.values():
            assert values.dtype == NUMPY[datatype] and values.size == math.prod(values.shape)
    assert refused == 400


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"datatype": "FP31"}, "'FP31'; expected one of BOOL"),
        ({"datatype": "BF16"}, "'BF16'; expected one of"),
        ({"shape": [3]}, r"data of shape \[2\]; its shape says \[3\]"),
        ({"shape": [-1]}, "expected a list of sizes"),
        ({"shape": [2**40]}, "expected a list of sizes"),
        ({"data": [1, [2]]}, "ragged list"),
        ({"data": [1, "2"]}, "not all FP32"),
        ({"data": [True, False]}, "not all FP32"),
        ({"data": [1e39, 0]}, "a number that FP32 cannot hold"),
        ({"data": [1.5, 2], "datatype": "INT8"}, "not all INT8"),
        ({"data": [128, 2], "datatype": "INT8"}, "a number that INT8 cannot hold"),
        ({"data": [-1, 2], "datatype": "UINT8"}, "a number that UINT8 cannot hold"),
        ({"data": [1, 0], "datatype": "BOOL"}, "not all BOOL"),
        ({"dat": []}, "unknown key 'dat'; did you mean 'data'"),
        ({"parameters": {"binary_data_size": 8}}, "either data or the parameter"),
        ({"parameters": {"shared_memory_region": "a"}}, "unknown key 'shared_memory_region'"),
    ],
)
def test_a_tensor_that_does_not_say_what_it_is_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        parse(orjson.dumps({"inputs": [{**TENSOR, **changed}]}), None)
    assert caught.value.status == 400


def test_binary_data_must_be_there_to_the_byte() -> None:
    body, length = written([("x", "FP32", np.ones((2, 2), np.float32), True)])
    assert parse(body, length).inputs["x"][1].shape == (2, 2)
    for wrong, said in ((body[:-1], "15 bytes are left"), (body + b"x", "17 bytes of binary data")):
        with pytest.raises(RequestError, match=said):
            parse(wrong, length)
    with pytest.raises(RequestError, match="need the header Inference-Header-Content-Length"):
        parse(body, None)
    with pytest.raises(RequestError, match="expected a length of at most"):
        parse(body, b"9999")
    flag, length = written([("x", "BOOL", np.array([2], np.uint8), True)])
    with pytest.raises(RequestError, match="other than 0 and 1"):
        parse(flag, length)


def test_parameters_and_outputs_are_read() -> None:
    given = {
        "inputs": [TENSOR],
        "parameters": {"binary_data_output": True, "preprocess": True, "raw_output": False, "timeout": 1500},
        "outputs": [{"name": "y", "parameters": {"binary_data": False}}, {"name": "z"}],
    }
    asked = parse(orjson.dumps(given), None)
    assert (asked.binary_output, asked.preprocess, asked.raw_output, asked.timeout_s) == (True, True, False, 0.0015)
    assert [(wanted.name, wanted.binary) for wanted in asked.outputs or ()] == [("y", False), ("z", None)]
    plain = parse(orjson.dumps({"inputs": [TENSOR]}), None)
    assert (plain.binary_output, plain.preprocess, plain.raw_output, plain.timeout_s) == (False, False, None, None)
    for parameters in ({"preproces": True}, {"preprocess": 1}, {"timeout": -1}, []):
        with pytest.raises(RequestError):
            parse(orjson.dumps({"inputs": [TENSOR], "parameters": parameters}), None)
