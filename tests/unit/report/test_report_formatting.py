"""Are quantities written so that a person reads the right value?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.report import formatting

finite = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)


def back(text: str) -> float:
    """The value that a text says."""
    return float(text.replace(",", "").replace(formatting.MINUS, "-"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.02134, "0.0213"),
        (7.9, "7.90"),
        (9.996, "10.0"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (-0.0401, "−0.0401"),
        (0.09999, "0.100"),
    ],
)
def test_significant(value: float, text: str) -> None:
    assert formatting.significant(value) == text


@given(finite.filter(lambda value: abs(value) > 1e-6))
def test_significant_keeps_three_digits_without_exponent(value: float) -> None:
    text = formatting.significant(value)
    assert "e" not in text
    assert back(text) == pytest.approx(value, rel=0.005)


@given(finite)
def test_compact_keeps_the_value(value: float) -> None:
    assert back(formatting.compact(value)) == pytest.approx(value, rel=0.05)


@given(st.floats(min_value=-1, max_value=1))
def test_percent_and_points_have_two_decimals_and_no_negative_zero(value: float) -> None:
    for text, expected in ((formatting.percent(value), 100 * value), (formatting.points(value), value)):
        assert back(text) == pytest.approx(expected, abs=0.00501)
        assert len(text.split(".")[1]) == 2
        assert text != f"{formatting.MINUS}0.00"


@given(st.floats(min_value=0, max_value=1e6))
def test_seconds_say_the_time(value: float) -> None:
    text = formatting.seconds(value)
    if "min" in text:
        minutes, rest = text.removesuffix(" s").split(" min ")
        assert int(rest) < 60
        assert 60 * int(minutes) + int(rest) == pytest.approx(value, abs=0.51)
    else:
        assert back(text.removesuffix(" s")) == pytest.approx(value, rel=0.05, abs=1e-9)


@pytest.mark.parametrize(
    ("gate", "value", "text"),
    [
        ("max_accuracy_drop", 0.012, "1.20 points"),
        ("min_accuracy", 0.9, "90.00 %"),
        ("max_size_kib", 40, "40 KiB"),
        ("max_latency_p90_ms", 0.5, "0.5 ms"),
        ("max_image_mib", 144.6, "145 MiB"),
        ("min_delegated", 0.25, "0.25"),
        ("max_size_kib", None, "unknown"),
    ],
)
def test_gates_have_their_unit(gate: str, value: float | None, text: str) -> None:
    assert formatting.limit_text(gate, value) == text


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_joined(items: list[str], text: str) -> None:
    assert formatting.joined(items) == text


@pytest.mark.parametrize(("value", "text"), [(None, "unknown"), (True, "yes"), (2, "2"), (2.5, "2.500"), ("x", "x")])
def test_scalar(value: object, text: str) -> None:
    assert formatting.scalar(value) == text
