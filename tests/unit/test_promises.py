"""Which promises of compression steps still stand at the end?"""

from dataclasses import asdict
from typing import Any

from edgepack.contracts import Promise
from edgepack.promises import standing


def record(*promises: Promise, status: str = "pruned") -> dict[str, Any]:
    return {"layers": [{"layer": "conv", "status": status}], "promises": [asdict(promise) for promise in promises]}


PRUNED = Promise("conv", (8, 3, 3, 4), zeros=144, pattern=(2, 4))


def test_a_later_step_adds_to_earlier_promises() -> None:
    found = standing([record(PRUNED), record(Promise("conv", (8, 3, 3, 4), zeros=150, clusters=16))])
    assert found == [asdict(Promise("conv", (8, 3, 3, 4), zeros=150, pattern=(2, 4), clusters=16))]


def test_layers_with_two_kernels_keep_both() -> None:
    twice = record(PRUNED, Promise("conv", (4, 4), zeros=8))
    assert [promise["shape"] for promise in standing([twice, twice])] == [(8, 3, 3, 4), (4, 4)]


def test_a_step_without_promises_changes_nothing() -> None:
    assert standing([record(PRUNED), {"layers": []}]) == standing([record(PRUNED)])


def test_removed_channels_end_earlier_promises_only() -> None:
    later = Promise("head", (10, 16), zeros=80)
    found = standing([record(PRUNED), record(status="narrowed"), record(later)])
    assert found == [asdict(later)]


def test_zeros_may_be_given_up() -> None:
    found = standing([record(PRUNED), record(Promise("conv", (8, 3, 3, 4), zeros=0, pattern=(0, 1), clusters=4))])
    assert found[0]["zeros"] == 0
    assert found[0]["pattern"] == (0, 1)
