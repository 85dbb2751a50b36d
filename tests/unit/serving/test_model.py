"""Are the tensors of a request held against the model's, and turned into its integers and back?"""

from typing import Any

import numpy as np
import pytest

from edgepack.runner.tensors import dequantize, quantize
from edgepack.serving.errors import RequestError
from edgepack.serving.model import Model
from edgepack.serving.request import Asked, parse
from edgepack.serving.response import Given

from .conftest import float_model, integer_model, written


def asked(values: Any, datatype: str = "FP32", name: str = "x", **rest: Any) -> Asked:
    return parse(*written([(name, datatype, values, True)], **rest))


def answer(model: Model, outputs: Any, request: Asked) -> list[Given]:
    return model.answer(outputs, request, model.wanted(request))


ROWS = np.arange(4, dtype=np.float32).reshape(2, 2)
PIXELS = np.arange(6, dtype=np.uint8).reshape(1, 3, 1, 2)  # one sample, channels last


def test_floats_go_through_unchanged_with_their_number_of_rows() -> None:
    feed, rows = float_model().feed(asked(ROWS))
    assert rows == 2
    np.testing.assert_array_equal(feed["x"], ROWS)


@pytest.mark.parametrize(
    ("model", "request_", "said"),
    [
        (float_model(), asked(ROWS, name="z"), r"inputs named \['z'\]; model 'pair' takes \['x'\]"),
        (float_model(), asked(ROWS.astype(np.float64), "FP64"), "datatype FP64; expected FP32"),
        (float_model(), asked(ROWS[0]), r"shape \[2\]; expected \[-1, 2\]"),
        (float_model(), asked(ROWS[:0]), r"shape \[0, 2\]; expected \[-1, 2\]"),
        (float_model(), asked(np.ones((5, 2), np.float32)), "batch of 5; at most 4"),
        (integer_model(), asked(np.ones((2, 2, 3, 1), np.float32)), r"expected \[1, 2, 3, 1\]"),
        (integer_model(), asked(np.ones((1, 2, 3, 1), np.uint8), "UINT8"), "datatype UINT8; expected FP32 or INT8"),
        (integer_model(), asked(np.full((1, 2, 3, 1), np.nan, np.float32)), "holds NaN"),
        (integer_model(), asked(np.ones((1, 3, 1, 2), bool), "BOOL", parameters={"preprocess": True}), "BOOL"),
        (float_model(preprocessing=None), asked(ROWS, parameters={"preprocess": True}), "records no preprocessing"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(model: Model, request_: Asked, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        model.feed(request_)
    assert caught.value.status == 400


def test_inputs_must_have_the_same_number_of_rows() -> None:
    two = float_model(inputs=(float_model().inputs[0], float_model().inputs[0].__class__("z", (-1,), "int64")))
    body = written([("x", "FP32", ROWS, True), ("z", "INT64", np.ones(3, np.int64), True)])
    with pytest.raises(RequestError, match="batch of 3, another one of 2"):
        two.feed(parse(*body))


def test_floats_become_the_models_integers_and_its_integers_floats() -> None:
    model = integer_model()
    values = np.array([[[[0.0], [0.5], [-0.5]], [[1e9], [-1e9], [0.3]]]], np.float32)
    request = asked(values)
    feed, _ = model.feed(request)
    assert feed["x"].dtype == np.int8 and feed["x"].shape == (1, 2, 3, 1)
    assert feed["x"].ravel().tolist() == [-3, -2, -4, 127, -128, -2]
    (given,) = answer(model, {"y": np.array([[10, 14]], np.uint8)}, request)
    assert given.values.dtype == np.float32 and given.values.tolist() == [[0.0, 1.0]]


def test_who_sends_integers_gets_integers_unless_he_says_otherwise() -> None:
    model, output = integer_model(), {"y": np.array([[10, 14]], np.uint8)}
    values = np.ones((1, 2, 3, 1), np.int8)
    raw = asked(values, "INT8")
    assert model.feed(raw)[0]["x"].tolist() == values.tolist()
    assert answer(model, output, raw)[0].values.dtype == np.uint8
    real = asked(values, "INT8", parameters={"raw_output": False})
    assert answer(model, output, real)[0].values.dtype == np.float32
    other = asked(values.astype(np.float32), parameters={"raw_output": True})
    assert answer(model, output, other)[0].values.dtype == np.uint8


def test_samples_of_the_data_set_are_preprocessed_as_for_training() -> None:
    """Scale and offset first, then the layout, then the integers."""
    model = integer_model()
    request = asked(PIXELS, "UINT8", parameters={"preprocess": True})
    expected = quantize(PIXELS.astype(np.float32) * np.float32(0.5) + np.float32(1.0), model.inputs[0])
    np.testing.assert_array_equal(model.feed(request)[0]["x"], expected)
    (given,) = answer(model, {"y": np.array([[10, 14]], np.uint8)}, request)
    np.testing.assert_array_equal(given.values, dequantize(np.array([[10, 14]], np.uint8), model.outputs[0]))
    with pytest.raises(RequestError, match=r"expected \[1, 3, 1, 2\]"):
        model.feed(asked(PIXELS.transpose(0, 3, 1, 2).copy(), "UINT8", parameters={"preprocess": True}))


def test_metadata_tells_both_forms_of_a_quantised_tensor() -> None:
    told = integer_model().metadata()
    (tensor,) = told["inputs"]
    assert (tensor["datatype"], tensor["shape"]) == ("FP32", [1, 2, 3, 1])
    assert tensor["parameters"] == {"raw_datatype": "INT8", "scale": 0.5, "zero_point": -3, "layout": "nchw"}
    assert told["parameters"]["max_batch"] == 1
    plain = float_model().metadata()
    assert "parameters" not in plain["inputs"][0]
    assert plain["parameters"]["max_batch"] == 4


def test_outputs_are_those_asked_for_in_that_order_and_form() -> None:
    model = float_model(outputs=tuple(float_model().outputs[0].__class__(n, (-1,), "float32") for n in ("a", "b")))
    values = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)}
    wanted = [{"name": "b", "parameters": {"binary_data": False}}, {"name": "a"}]
    request = asked(ROWS, outputs=wanted, parameters={"binary_data_output": True})
    assert [(given.name, given.binary) for given in answer(model, values, request)] == [("b", False), ("a", True)]
    with pytest.raises(RequestError, match="no output 'c'"):
        model.wanted(asked(ROWS, outputs=[{"name": "c"}]))


def test_the_bound_of_a_body_holds_the_longest_request() -> None:
    body, _ = written([("x", "FP32", np.full((4, 2), -1.2345678901234567e-30), False)], id="x" * 1000)
    assert len(body) < (float_model().body_bytes or 0)
    assert float_model(inputs=(float_model().inputs[0].__class__("x", (-1, -1), "float32"),)).body_bytes is None
