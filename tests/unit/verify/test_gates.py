"""Is a figure on the right side of its limit called ok, and is each miss given its exit code?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import BudgetError, VerificationError
from edgepack.recipe import Gates
from edgepack.target import Budgets, Target
from edgepack.verify import gates
from edgepack.verify.gates import Judgement

LIMITS = st.floats(1e-3, 1e3)


@given(LIMITS, LIMITS)
def test_limits_are_inclusive_up_to_the_last_bits(limit: float, value: float) -> None:
    (upper,) = gates.at_most("g", "a", limit, value)
    (lower,) = gates.at_least("g", "a", limit, value)
    if abs(value - limit) > 1e-6:
        assert (upper.status == "ok") == (value < limit)
        assert (lower.status == "ok") == (value > limit)
    for judge in (gates.at_most, gates.at_least):
        (same,) = judge("g", "a", limit, limit)
        assert same == Judgement("g", "a", limit, limit, "ok")


def test_a_share_of_a_sample_count_does_not_fail_by_rounding() -> None:
    drop = 0.9 - 0.88  # 0.020000000000000018
    assert drop > 0.02
    assert gates.at_most("max_accuracy_drop", "a", 0.02, drop)[0].status == "ok"
    assert gates.at_most("max_accuracy_drop", "a", 0.02, 0.0201)[0].status == "failed"


@pytest.mark.parametrize("judge", [gates.at_most, gates.at_least])
def test_no_limit_no_judgement_and_no_figure_no_verdict(judge: Any) -> None:
    assert judge("g", "a", None, 3.0) == []
    assert judge("g", "a", 1.0, None) == [Judgement("g", "a", 1.0, None, "not judged", "nothing was measured")]
    assert judge("g", "a", 1.0, 3.0, unjudged="smoke") == [Judgement("g", "a", 1.0, 3.0, "not judged", "smoke")]


def test_quality_is_held_against_the_recipe() -> None:
    limits = Gates(max_accuracy_drop=0.01, min_accuracy=0.9, min_top1_agreement=0.95)
    found = gates.judge_artifact(limits, artifact="m", accuracy=0.91, drop=0.02, top1_agreement=0.95, unjudged=None)
    assert [(item.gate, item.status) for item in found] == [
        ("max_accuracy_drop", "failed"),
        ("min_accuracy", "ok"),
        ("min_top1_agreement", "ok"),
    ]
    assert gates.judge_artifact(Gates(), artifact="m", accuracy=0, drop=1, top1_agreement=0, unjudged=None) == []


def test_without_a_baseline_only_what_needs_none_is_judged() -> None:
    limits = Gates(max_accuracy_drop=0.01, min_accuracy=0.9, min_top1_agreement=0.95)
    found = gates.judge_artifact(
        limits, artifact="m", accuracy=0.91, drop=None, top1_agreement=None, unjudged=None, alone="nothing to compare"
    )
    assert [(item.gate, item.status, item.reason) for item in found] == [
        ("max_accuracy_drop", "not judged", "nothing to compare"),
        ("min_accuracy", "ok", None),
        ("min_top1_agreement", "not judged", "nothing to compare"),
    ]


def test_advice_for_finished_files_is_no_training() -> None:
    failed = [Judgement("min_accuracy", "m", 0.9, 0.8, "failed")]
    error = gates.error_for(failed, "board", made_here=False)
    assert isinstance(error, VerificationError)
    assert error.fix == "make it anew, or move the gate in the recipe"


def test_sizes_are_held_against_recipe_and_target_in_kib() -> None:
    found = gates.judge_size(Gates(max_size_kib=10), Budgets(artifact_kib=9), artifact="m", size_bytes=10 * 1024)
    assert [(item.gate, item.value, item.status) for item in found] == [
        ("max_size_kib", 10.0, "ok"),
        ("artifact_kib", 10.0, "failed"),
    ]


def test_latencies_are_held_against_recipe_and_target() -> None:
    limits, budgets = Gates(max_latency_p90_ms=2), Budgets(latency_p90_ms=1)
    found = gates.judge_latency(limits, budgets, artifact="m", p90_ms=1.5, unjudged=None)
    assert [(item.gate, item.status) for item in found] == [("max_latency_p90_ms", "ok"), ("latency_p90_ms", "failed")]
    found = gates.judge_latency(limits, budgets, artifact="m", p90_ms=None, unjudged=None)
    assert {item.status for item in found} == {"not judged"}


def missed(gate: str) -> Judgement:
    return Judgement(gate, "model.int8.tflite", 0.01, 0.0234567, "failed")


def test_no_miss_is_no_error() -> None:
    assert gates.error_for([], "board") is None


@pytest.mark.parametrize("gate", gates.QUALITY)
def test_a_missed_quality_gate_ends_with_5_whatever_else_is_missed(gate: str) -> None:
    for failed in ([missed(gate)], [missed("max_size_kib"), missed(gate)]):
        error = gates.error_for(failed, "board")
        assert isinstance(error, VerificationError)
        assert f"board: model.int8.tflite misses {gate}: 0.0234567, limit 0.01" in error.message
        assert len(error.message.splitlines()) == len(failed)


@pytest.mark.parametrize("gate", ["max_size_kib", "artifact_kib", "max_latency_p90_ms", "latency_p90_ms"])
def test_a_missed_budget_ends_with_7(gate: str) -> None:
    error = gates.error_for([missed(gate)], "board")
    assert isinstance(error, BudgetError) and error.exit_code == 7
    assert error.fix


def test_every_gate_of_a_recipe_is_judged_somewhere() -> None:
    """A gate that is added to the recipe and judged nowhere would be silence."""
    limits = Gates(**dict.fromkeys(Gates.model_fields, 0.5))
    found = [
        *gates.judge_artifact(limits, artifact="m", accuracy=1, drop=0, top1_agreement=1, unjudged=None),
        *gates.judge_size(limits, Budgets(), artifact="m", size_bytes=1),
        *gates.judge_latency(limits, Budgets(), artifact="m", p90_ms=1, unjudged=None),
    ]
    assert {item.gate for item in found} == set(Gates.model_fields)


def wanting(**limits: float) -> Target:
    return Target.model_validate(
        {
            "description": "a device",
            "platform": "linux/amd64",
            "runtimes": ["litert"],
            "precisions": ["int8"],
            "image": {"platform": "linux/amd64", "base": "base"},
            **limits,
        }
    )


LITERT = {
    "nodes": 10,
    "nodes_delegated": 4,
    "not_delegated": [f"SOFTMAX s{number}" for number in range(6)],
    "integer_nodes": 9,
    "float_nodes": 1,
    "in_float": ["CONV_2D wide"],
}


def test_operations_that_are_elsewhere_are_named() -> None:
    target = wanting(min_delegated=0.5, min_integer_ops=0.95)
    delegated, integers = gates.judge_placement(target, artifact="a", precision="int8", details=LITERT)
    assert (delegated.gate, delegated.value, delegated.status) == ("min_delegated", 0.4, "failed")
    assert delegated.reason == "not delegated: SOFTMAX s0, SOFTMAX s1, SOFTMAX s2, SOFTMAX s3, SOFTMAX s4 and 1 more"
    assert (integers.value, integers.status, integers.reason) == (0.9, "failed", "in float: CONV_2D wide")
    error = gates.error_for([delegated, integers], "kiosk")
    assert isinstance(error, VerificationError)
    assert "in float: CONV_2D wide" in error.message


def test_placement_is_judged_where_it_means_something() -> None:
    target = wanting(min_delegated=0.1, min_integer_ops=0.9)
    judged = gates.judge_placement(target, artifact="a", precision="int8", details=LITERT)
    assert [item.status for item in judged] == ["ok", "ok"]
    (only,) = gates.judge_placement(target, artifact="a", precision="float32", details=LITERT)
    assert only.gate == "min_delegated"
    onnx = {"integer_nodes": None, "float_nodes": None, "in_float": []}
    (unknown,) = gates.judge_placement(target, artifact="a", precision="int8", details=onnx)
    assert (unknown.status, unknown.reason) == ("not judged", "nothing was measured")
    assert gates.judge_placement(wanting(), artifact="a", precision="int8", details=LITERT) == []
