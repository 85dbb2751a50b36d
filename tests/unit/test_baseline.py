"""Is what became slower told from noise, and what is not comparable refused?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import baseline
from edgepack.errors import MissingError, RecipeError

FACTS = {"cpu": "a processor", "machine_model": None, "cores": 4, "machine": "x86_64", "container": False}
FACTS |= {"emulated": False, "kernel": "Linux 6", "python": "3.12", "numpy": "2.3"}  # type: ignore[dict-item]


def measured(
    p50_ms: list[float],
    *,
    p10_ms: list[float] | None = None,
    reference_ms: float | None = 0.1,
    simulated: bool = False,
    facts: dict[str, Any] | None = None,
    quick: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    result = {
        "artifact": "model.int8.tflite",
        "sha256": "0" * 64,
        "runtime": "litert",
        "runtime_version": "2.1",
        "threads": 1,
        "status": "ok",
        "processes": [
            {
                "p50_ms": value,
                "p10_ms": p10_ms and p10_ms[number],
                "reference_ms": reference_ms and reference_ms * (1 + number / 1000),
            }
            for number, value in enumerate(p50_ms)
        ],
        **changes,
    }
    device = {"address": "board" if simulated else "local", "name": "x", "simulated": simulated}
    return {
        "device": device,
        "protocol": {"quick": quick},
        "environment": {**FACTS, **(facts or {})},
        "results": [result, {"artifact": "other", "status": "error"}],
    }


STEADY = [1.0, 1.01, 0.99, 1.005, 0.995]


def judged(tmp_path: Path, before: dict[str, Any], after: dict[str, Any]) -> baseline.Judgement:
    path = tmp_path / "baseline.json"
    baseline.save(path, [before])
    (found,) = baseline.judge(path, after, fail_above=0.05)
    return found


def times(factor: float, values: list[float] = STEADY) -> list[float]:
    return [factor * value for value in values]


@pytest.mark.parametrize(
    ("after", "verdict", "said"),
    [
        (times(1.0), "ok", "is as fast as it was"),
        (times(1.02), "ok", "is as fast as it was"),
        (times(0.8), "ok", "became faster"),
        (times(1.2), "slower", "became slower"),
        (times(2.0), "slower", "became slower"),
        (times(1.05), "cannot tell", "cannot be told apart"),
        ([0.9, 1.3, 1.0, 1.25, 0.95], "cannot tell", "cannot be told apart"),
    ],
)
def test_a_gate_fails_passes_or_cannot_tell(tmp_path: Path, after: list[float], verdict: str, said: str) -> None:
    found = judged(tmp_path, measured(STEADY), measured(after))
    assert found.verdict == verdict
    assert said in found.sentence()
    assert found.interval[0] <= found.ratio <= found.interval[1]


def test_what_fails_names_artifact_figures_interval_and_machine(tmp_path: Path) -> None:
    found = judged(tmp_path, measured(STEADY), measured(times(1.5)))
    error = baseline.error_for([found], measured(times(1.5)))
    assert error is not None and error.exit_code == 7
    first, second = error.message.splitlines()
    assert first.startswith(
        "model.int8.tflite with litert became slower: 1.5 ms, baseline 1 ms, 1.500 times (95 % interval 1.4"
    )
    assert first.endswith("allowed 1.050")
    assert second == "measured on local: a processor, 4 cores, Linux 6; 5 fresh processes"
    assert baseline.error_for([judged(tmp_path, measured(STEADY), measured(STEADY))], measured(STEADY)) is None


def test_a_machine_that_became_slower_is_not_taken_for_the_model(tmp_path: Path) -> None:
    before = measured(STEADY)
    found = judged(tmp_path, before, measured(times(1.15), reference_ms=0.115))
    assert found.verdict == "cannot tell"
    assert "the machine itself is slower than it was then (1.15 times)" in found.note
    assert judged(tmp_path, before, measured(times(2.3), reference_ms=0.115)).verdict == "slower"
    hidden = judged(tmp_path, before, measured(times(1.0), reference_ms=0.085))
    assert hidden.verdict == "cannot tell" and "faster than it was then" in hidden.note
    other = measured(times(1.15), reference_ms=0.115, facts={"numpy": "2.4"})
    assert judged(tmp_path, before, other).verdict == "slower"  # another numpy: its work says nothing


def test_other_programs_make_some_inferences_slower_and_a_model_all(tmp_path: Path) -> None:
    before = measured(STEADY, p10_ms=times(0.9))
    busy = judged(tmp_path, before, measured(times(1.4), p10_ms=times(0.91)))
    assert busy.verdict == "cannot tell"
    assert "its fastest tenth takes 1.011 times as long: other programs are at work" in busy.sentence()
    assert judged(tmp_path, before, measured(times(1.4), p10_ms=times(1.2))).verdict == "slower"
    assert judged(tmp_path, before, measured(times(0.99), p10_ms=times(0.9))).verdict == "ok"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (measured(STEADY, threads=2), "threads 1, now 2"),
        (measured(STEADY, facts={"cpu": "another"}), "cpu 'a processor', now 'another'"),
        (measured(STEADY, facts={"container": True}), "container False, now True"),
        (
            measured(STEADY, runtime="onnxruntime"),
            "holds no model.int8.tflite with onnxruntime; it holds .* with litert",
        ),
        (measured(STEADY, artifact="model.onnx"), "holds no model.onnx with litert; it holds model.int8.tflite"),
        (measured(STEADY, simulated=True), r"is real and this measurement simulated .* never compared"),
        (measured(STEADY[:2]), "was measured in 2 processes"),
        (measured(STEADY, facts={"emulated": True}), "under emulation"),
    ],
)
def test_what_says_nothing_about_the_other_is_refused(tmp_path: Path, after: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as raised:
        judged(tmp_path, measured(STEADY), after)
    assert raised.value.fix


def test_another_version_of_the_runtime_is_compared_and_said(tmp_path: Path) -> None:
    found = judged(tmp_path, measured(STEADY), measured(times(1.3), runtime_version="2.2"))
    assert (found.verdict, found.note) == ("slower", "litert was 2.1 and is 2.2")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "ok"), (1.04, "ok"), (1.06, "slower")])
def test_counted_instructions_need_one_start(tmp_path: Path, factor: float, verdict: str) -> None:
    before = measured([1.0], simulated=True, reference_ms=None)
    assert judged(tmp_path, before, measured([factor], simulated=True, reference_ms=None)).verdict == verdict


def test_noise_alone_is_not_taken_for_a_regression(tmp_path: Path) -> None:
    """Processes that differ by 3 %, a hundred times, and an artifact that is a third slower, as often."""
    random, path = np.random.default_rng(5), tmp_path / "baseline.json"
    false, found = 0, 0
    for _ in range(100):
        before, after = (np.exp(random.normal(0, 0.03, 5)).tolist() for _ in range(2))
        baseline.save(path, [measured(before)])
        false += baseline.judge(path, measured(after), fail_above=0.05)[0].verdict == "slower"
        found += baseline.judge(path, measured(times(4 / 3, after)), fail_above=0.05)[0].verdict == "slower"
    assert false <= 1
    assert found >= 98


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"schema": "edgepack.baseline/1", "results": [{}]}', "[" * 10_000]
)
def test_what_is_no_baseline_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(RecipeError, match=r"is no baseline of schema edgepack\.baseline/1"):
        baseline.read(path)


def test_a_baseline_that_is_not_there_is_to_be_written_first(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no baseline") as raised:
        baseline.read(tmp_path / "baseline.json")
    assert "--save-baseline" in raised.value.fix


def test_a_saved_baseline_is_read_by_people_too(tmp_path: Path) -> None:
    baseline.save(tmp_path / "new" / "baseline.json", [measured(STEADY)])
    document = json.loads((tmp_path / "new" / "baseline.json").read_text())
    (item,) = document["results"]
    assert (item["artifact"], item["p50_ms"], item["cpu"]) == ("model.int8.tflite", STEADY, "a processor")


@given(st.floats(0, 1000, allow_nan=False).map(lambda value: round(value, 3)))
def test_shares_are_read_as_written(value: float) -> None:
    assert baseline.share(f"{value:f}%") == pytest.approx(value / 100)
    assert baseline.share(f" {value:f} % ") == pytest.approx(value / 100)


@pytest.mark.parametrize("text", ["5", "0.05", "%", "-5%", "five%", "5%%"])
def test_a_share_without_a_percent_sign_is_not_guessed(text: str) -> None:
    with pytest.raises(RecipeError, match="write it as 5%"):
        baseline.share(text)


@pytest.mark.parametrize(
    ("first", "limit", "verdict", "measured_again"),
    [
        ([1.0, 1.3, 1.0, 1.3, 1.0], 0.05, "slower", 1),
        ([1.0, 1.3, 1.0, 1.3, 1.0], 0.18, "cannot tell", 2),
        (times(1.25), 0.05, "slower", 0),
    ],
)
def test_where_the_gate_cannot_tell_it_measures_more_processes(
    tmp_path: Path, first: list[float], limit: float, verdict: str, measured_again: int
) -> None:
    path = tmp_path / "baseline.json"
    baseline.save(path, [measured(STEADY)])
    made: list[dict[str, Any]] = []

    def again() -> dict[str, Any]:
        made.append(measured(times(1.25)))
        return made[-1]

    (found,) = baseline.gate(path, measured(first), again, fail_above=limit)
    assert (found.verdict, len(made)) == (verdict, measured_again)
