"""Are stored weights held to what was promised of them?"""

from dataclasses import asdict

import numpy as np
import pytest

from edgepack.contracts import Promise
from edgepack.errors import VerificationError
from edgepack.tflite_models.contents import Kernel
from edgepack.verify.gates import error_for
from edgepack.verify.weights import Weights, _weights, judge, summary


def stored(*arrays: np.ndarray) -> list[Weights]:
    return [Weights("CONV_2D", f"tensor{index}", array) for index, array in enumerate(arrays)]


def halves(zeros: int) -> np.ndarray:
    """A (4, 1, 1, 8) kernel with so many zeros in a row, all other weights different."""
    values = np.arange(1, 33)
    values[:zeros] = 0
    return values.reshape(4, 1, 1, 8)


@pytest.mark.parametrize(("zeros", "status"), [(16, "ok"), (17, "ok"), (15, "failed")])
def test_zeros_are_held_to_their_number(zeros: int, status: str) -> None:
    (found,) = judge(stored(halves(zeros)), [asdict(Promise("conv", (4, 8), zeros=16))], artifact="model.int8.tflite")
    assert (found.gate, found.limit, found.value, found.status) == ("kept_sparsity", 0.5, zeros / 32, status)


def test_among_kernels_of_one_shape_the_strictest_promise_meets_the_best_kernel() -> None:
    promises = [asdict(Promise("a", (4, 8), zeros=8)), asdict(Promise("b", (4, 8), zeros=24))]
    kernels = (halves(24), halves(0), halves(8))
    assert judge(stored(*kernels), promises, artifact="f")[0].status == "ok"
    (found,) = judge(stored(halves(24), halves(0), halves(7)), promises, artifact="f")
    assert (found.status, found.limit, found.value) == ("failed", 0.25, 7 / 32)
    assert found.reason == "the kernel nearest to its limit is that of a"


def test_a_kernel_that_is_not_there_fails() -> None:
    (found,) = judge(stored(halves(16)), [asdict(Promise("conv", (5, 8), zeros=1))], artifact="f")
    assert (found.status, found.value) == ("failed", None)
    assert found.reason == "the file has no kernel of the shape of conv"
    error = error_for([found], "target")
    assert isinstance(error, VerificationError)
    assert error.exit_code == 5
    assert "kept_sparsity: unknown" in error.message


def test_patterns_are_held_in_every_group_of_input_channels() -> None:
    kernel = np.tile(np.array([0, 1, 2, 0, 3, 0, 0, 4]), (4, 1))
    promise = asdict(Promise("dense", (4, 8), pattern=(2, 4)))
    (found,) = judge(stored(kernel), [promise], artifact="f")
    assert (found.gate, found.limit, found.value, found.status) == ("kept_pattern", 2, 2, "ok")
    kernel[3, 5] = 9
    assert judge(stored(kernel), [promise], artifact="f")[0].status == "failed"
    # A last group that is shorter is left out: it may keep all of its weights.
    assert stored(np.tile([0, 0, 1, 1, 5, 6], (4, 1)))[0].least_zeros(4) == 2


def test_clusters_are_counted_in_each_output_channel() -> None:
    kernel = np.stack([np.array([row, row + 1, row, row + 1]) for row in range(10)])
    promise = asdict(Promise("dense", (10, 4), clusters=2))
    (found,) = judge(stored(kernel), [promise], artifact="f")
    assert (found.gate, found.value, found.status) == ("kept_clusters", 2, "ok")
    kernel[4, 0] = 77
    assert judge(stored(kernel), [promise], artifact="f")[0].value == 3
    # Another kernel of the shape, of which nothing was promised, does not count.
    other = np.arange(40).reshape(10, 4)
    assert judge(stored(other, kernel), [{**promise, "clusters": 3}], artifact="f")[0].status == "ok"


def test_promises_that_were_given_up_are_not_judged() -> None:
    assert judge(stored(halves(0)), [asdict(Promise("conv", (4, 8), zeros=0, pattern=(0, 1)))], artifact="f") == []
    assert judge(stored(halves(0)), [], artifact="f") == []


def test_stored_numbers_are_taken_from_their_zero_point_and_depthwise_outputs_come_first() -> None:
    plain = _weights(Kernel("FULLY_CONNECTED", "w", np.array([[3, 127], [-128, 3]], np.int8), 3))
    assert plain.zeros == 2
    assert plain.values.tolist() == [[0, 124], [-131, 0]]
    depthwise = _weights(Kernel("DEPTHWISE_CONV_2D", "d", np.zeros((1, 3, 3, 8), np.int8), 0))
    assert depthwise.values.shape == (8, 1, 3, 3)
    assert depthwise.shape == (8, 3, 3)
    assert summary([plain, depthwise]) == {"sparsity": 74 / 76, "distinct_per_channel": 2, "kernels": 2}
    assert summary([]) == {"sparsity": 0.0, "distinct_per_channel": 0, "kernels": 0}
