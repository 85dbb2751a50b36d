import json
from pathlib import Path

import numpy as np
import pytest

from edgepack.runner import bundle as bundles
from edgepack.runner.tensors import TensorSpec
from edgepack.runner.verify import compare, verify

from .conftest import edit, save_golden

KEY = "output/model.int8.onnx/onnxruntime"
INT8 = TensorSpec("y", (1, 3), "int8", 0.1, 0)
FLOAT = TensorSpec("y", (1, 3), "float32")
TOLERANCE = {"max_abs": 0.25, "top1": 0.5}
EXPECTED = np.array([[10, 2, 3], [1, 20, 3]], np.int8)


def golden(bundle: Path) -> dict[str, np.ndarray]:
    with np.load(bundle / "golden.npz") as arrays:
        return dict(arrays)


def test_an_untouched_bundle_is_identical(bundle: Path) -> None:
    document = verify(bundles.read(bundle))
    json.dumps(document, allow_nan=False)
    assert document["schema"] == "edgepack.golden/1"
    for result in document["results"]:
        assert (result["status"], result["identical"], result["reason"]) == ("ok", True, None)
        assert (result["max_abs_difference"], result["top1_agreement"]) == (0.0, 1.0)
        assert len(result["output_sha256"]) == 64


def test_outputs_of_other_kernels_pass_within_the_tolerance(bundle: Path) -> None:
    arrays = golden(bundle)
    arrays[KEY] = np.where(arrays[KEY] < 100, arrays[KEY] + 1, arrays[KEY]).astype(np.int8)
    save_golden(bundle, arrays)
    _, result = verify(bundles.read(bundle))["results"]
    assert (result["status"], result["identical"]) == ("ok", False)
    assert result["max_abs_difference"] == pytest.approx(1 / 256)


def test_outputs_beyond_the_tolerance_fail(bundle: Path) -> None:
    arrays = golden(bundle)
    arrays[KEY] = arrays[KEY][:, ::-1]
    save_golden(bundle, arrays)
    first, second = verify(bundles.read(bundle))["results"]
    assert first["status"] == "ok"
    assert second["status"] == "failed"
    assert "expected at most 0.02" in second["reason"]


def test_an_altered_artifact_fails_and_is_not_run(bundle: Path) -> None:
    (bundle / "model.int8.onnx").write_bytes(b"something else")
    first, second = verify(bundles.read(bundle))["results"]
    assert first["status"] == "ok"
    assert second["status"] == "failed"
    assert second["reason"].startswith("model.int8.onnx is not the file that was packed")
    assert second["output_sha256"] is None


def test_swapped_golden_samples_fail_every_artifact(bundle: Path) -> None:
    edit(bundle, lambda m: m["files"].update({"golden.npz": "0" * 64}))
    for result in verify(bundles.read(bundle))["results"]:
        assert result["status"] == "failed"
        assert result["reason"].startswith("golden.npz is not")


def test_a_bundle_without_golden_samples_fails(bundle: Path) -> None:
    edit(bundle, lambda m: m.pop("golden"))
    assert {r["reason"] for r in verify(bundles.read(bundle))["results"]} == {"the bundle has no golden samples"}


def test_missing_outputs_are_an_error_that_names_them(bundle: Path) -> None:
    arrays = golden(bundle)
    del arrays[KEY]
    save_golden(bundle, arrays)
    _, result = verify(bundles.read(bundle))["results"]
    assert result["status"] == "error"
    assert KEY in result["reason"]


def test_difference_and_agreement_are_of_the_real_values() -> None:
    raw = EXPECTED.copy()
    raw[1] = [2, 1, 21]
    result = compare(raw, EXPECTED, INT8, {"max_abs": 2.0, "top1": 0.5})
    assert result["max_abs_difference"] == pytest.approx(1.9)
    assert result["top1_agreement"] == 0.5
    assert result["status"] == "ok"
    assert "top1" not in (result["reason"] or "")


@pytest.mark.parametrize(
    ("change", "tolerance", "reason"),
    [
        ([[13, 2, 3], [1, 20, 3]], TOLERANCE, "differ by up to 0.3; expected at most 0.25"),
        (
            [[2, 10, 3], [20, 1, 3]],
            {"max_abs": 9, "top1": 0.9},
            "0.00% of the samples; expected at least 90.00%",
        ),
        ([[11, 2, 3], [1, 20, 3]], None, "gives no tolerance"),
    ],
)
def test_each_limit_fails_with_its_numbers(change: list[list[int]], tolerance: dict[str, float], reason: str) -> None:
    result = compare(np.array(change, np.int8), EXPECTED, INT8, tolerance)
    assert result["status"] == "failed"
    assert reason in result["reason"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_fail_whatever_the_tolerance(value: float) -> None:
    expected = np.zeros((2, 3), np.float32)
    result = compare(np.full((2, 3), value, np.float32), expected, FLOAT, {"max_abs": 1e9, "top1": 0.0})
    assert result["status"] == "failed"
    assert "NaN or infinity" in result["reason"]
    json.dumps(result, allow_nan=False)


def test_stored_outputs_that_are_no_numbers_fail_too() -> None:
    result = compare(np.zeros((2, 3), np.float32), np.full((2, 3), np.nan, np.float32), FLOAT, TOLERANCE)
    assert result["status"] == "failed"
    json.dumps(result, allow_nan=False)


def test_another_shape_or_dtype_fails() -> None:
    assert "int8 [1, 3]; expected int8 [2, 3]" in compare(EXPECTED[:1], EXPECTED, INT8, TOLERANCE)["reason"]
    assert compare(EXPECTED.astype(np.uint8), EXPECTED, INT8, TOLERANCE)["status"] == "failed"


def test_a_single_value_has_no_class_to_agree_on() -> None:
    expected = np.array([[0.5], [0.6]], np.float32)
    assert compare(expected, expected, FLOAT, None)["top1_agreement"] is None
    assert compare(expected + 0.1, expected, FLOAT, TOLERANCE)["top1_agreement"] is None


def test_anomalies_are_compared_by_their_scores() -> None:
    """Inputs of zero, scores 1, 4, 9, 16 and a model that moves the third one below their median of 6.5."""
    expected, raw = (np.array(values, np.float32)[:, None] for values in ([1, 2, 3, 4], [1, 2, 2.5, 4]))
    given = {"task": "anomaly", "inputs": np.zeros((4, 1), np.float32)}
    found = compare(raw, expected, FLOAT, {"max_abs": 0.5, "top1": 0.75}, **given)
    assert (found["status"], found["top1_agreement"]) == ("ok", 0.75)
    found = compare(raw, expected, FLOAT, {"max_abs": 0.5, "top1": 0.8}, **given)
    assert found["reason"] == "the same side of the median score in 75.00% of the samples; expected at least 80.00%"
    assert compare(expected, expected, FLOAT, None, **given)["top1_agreement"] == 1.0
