"""Are a phone's answers held against the bundle's, sample for sample?"""

from pathlib import Path

import numpy as np
import pytest

from edgepack.android.golden import check
from edgepack.android.subjects import Subject
from edgepack.runner.bundle import Entry
from edgepack.runner.tensors import TensorSpec

OUTPUTS = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    np.savez(tmp_path / "golden.npz", **{"input": np.zeros((3, 4), np.float32), "output/model.tflite/litert": OUTPUTS})
    entry = Entry(
        "model.tflite", tmp_path / "model.tflite", "litert", 1, None, tmp_path / "golden.npz", None, {"max_abs": 0.01}
    )
    return Subject(entry, (TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 2), "float32"),))


def test_the_same_answers(subject: Subject) -> None:
    found = check(subject, [OUTPUTS[0].tobytes(), OUTPUTS[1].tobytes()])
    assert found is not None
    assert (found["samples"], found["status"], found["identical"], found["max_abs_difference"]) == (2, "ok", True, 0)


def test_of_a_batch_the_first_answer_counts(subject: Subject) -> None:
    found = check(subject, [OUTPUTS[[0, 2]].tobytes(), OUTPUTS[[1, 0]].tobytes()])
    assert found is not None and found["identical"] is True


def test_near_answers_and_others(subject: Subject) -> None:
    near = check(subject, [(OUTPUTS[0] + np.float32(0.005)).tobytes()])
    assert near is not None and (near["status"], near["identical"]) == ("ok", False)
    far = check(subject, [(OUTPUTS[0] + np.float32(0.02)).tobytes()])
    assert far is not None and far["status"] == "failed"
    assert far["reason"].startswith("the outputs differ by up to 0.02")


@pytest.mark.parametrize("answer", [b"", b"123", OUTPUTS[0].tobytes() + b"1"])
def test_an_answer_of_another_size(subject: Subject, answer: bytes) -> None:
    found = check(subject, [answer])
    assert found is not None and (found["status"], found["identical"]) == ("failed", None)
    assert "expected 8 for each sample" in found["reason"]


def test_nothing_to_compare(subject: Subject) -> None:
    assert check(subject, []) is None
    assert check(Subject(subject.entry, subject.inputs), [OUTPUTS[0].tobytes()]) is None
