import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgepack.runner.tensors import TensorSpec, dequantize, quantize

scales = st.floats(2.0**-20, 8.0, width=32, allow_subnormal=False)
reals = arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32))


@st.composite
def quantised_specs(draw: st.DrawFn) -> TensorSpec:
    dtype = draw(st.sampled_from(["int8", "uint8", "int16"]))
    limits = np.iinfo(dtype)
    zero_point = 0 if dtype == "int16" else draw(st.integers(limits.min, limits.max))
    return TensorSpec("t", (1, -1), dtype, draw(scales), zero_point)


@given(quantised_specs(), st.data())
def test_each_integer_survives_the_way_to_a_real_number_and_back(spec: TensorSpec, data: st.DataObject) -> None:
    limits = np.iinfo(spec.dtype)
    q = data.draw(arrays(spec.dtype, 20, elements=st.integers(limits.min, limits.max)))
    back = quantize(dequantize(q, spec), spec)
    assert back.dtype == q.dtype
    np.testing.assert_array_equal(back, q)


@given(quantised_specs(), reals)
def test_a_real_number_moves_by_half_a_step_at_most_or_to_the_edge(spec: TensorSpec, x: np.ndarray) -> None:
    q = quantize(x, spec)
    limits = np.iinfo(spec.dtype)
    low, high = dequantize(np.array([limits.min, limits.max], spec.dtype), spec)
    expected = np.clip(x, low, high).astype(np.float64)
    step = float(np.float32(spec.scale))
    # One float32 rounding of the quotient and one of the product come on top of the half step.
    slack = np.abs(expected) * 2.0**-22
    assert (np.abs(dequantize(q, spec) - expected) <= step / 2 + slack).all()


@given(quantised_specs(), reals)
def test_order_is_kept(spec: TensorSpec, x: np.ndarray) -> None:
    q = quantize(np.sort(x), spec).astype(np.int64)
    assert (np.diff(q) >= 0).all()


def test_halves_go_to_even_and_infinity_to_the_edge() -> None:
    spec = TensorSpec("t", (6,), "int8", 1.0, 1)
    x = np.array([0.5, 1.5, -0.5, -1.5, np.inf, -np.inf], np.float32)
    assert quantize(x, spec).tolist() == [1, 3, 1, -1, 127, -128]


def test_known_values() -> None:
    spec = TensorSpec("t", (3,), "uint8", 0.5, 10)
    assert quantize(np.array([0.0, 2.0, -100.0]), spec).tolist() == [10, 14, 0]
    assert dequantize(np.array([10, 14, 0], np.uint8), spec).tolist() == [0.0, 2.0, -5.0]


def test_not_a_number_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'pixels'.*NaN"):
        quantize(np.array([np.nan], np.float32), TensorSpec("pixels", (1,), "int8", 1.0, 0))


def test_a_float_tensor_passes_through() -> None:
    spec = TensorSpec("t", (-1, 2), "float32")
    x = np.array([[1.25, np.pi]], np.float64)
    assert quantize(x, spec).dtype == np.float32
    np.testing.assert_array_equal(dequantize(quantize(x, spec), spec), x.astype(np.float32))


def test_the_form_of_the_manifest_goes_both_ways() -> None:
    spec = TensorSpec("serving_default:0", (-1, 8, 8, 1), "int8", 0.0039, -128)
    written = spec.to_dict()
    assert written == {
        "name": "serving_default:0",
        "shape": [-1, 8, 8, 1],
        "dtype": "int8",
        "scale": 0.0039,
        "zero_point": -128,
    }
    assert TensorSpec.from_dict(written) == spec
    assert TensorSpec.from_dict({**written, "scale": None, "zero_point": None}).quantised is False


@pytest.mark.parametrize(
    "broken", [{}, {"name": "x", "shape": 3, "dtype": "int8"}, {"name": "x", "shape": [1], "dtype": "?!"}]
)
def test_what_is_not_a_tensor_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected name, shape, dtype, scale and zero_point"):
        TensorSpec.from_dict(broken)
