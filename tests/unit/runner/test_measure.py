import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.runner import bundle as bundles
from edgepack.runner import measure
from edgepack.runner.errors import UsageError
from edgepack.runner.sampling import Protocol, sample
from edgepack.runner.sessions import open_session

from .conftest import edit

QUICK = Protocol(warmup_s=0.02, min_runs=5, min_time_s=0.02, max_time_s=20, quick=True)


class Idle:
    """A model that costs nothing, to see what the loop itself costs and does."""

    def __init__(self) -> None:
        self.fed: list[Any] = []
        self.invoke = lambda: None

    def set_inputs(self, feed: Any) -> None:
        self.fed.append(feed)


def clock(*steps_ns: int) -> Any:
    """A clock that goes on by the given steps, again and again."""

    def readings() -> Iterator[int]:
        now = 0
        while True:
            for step in steps_ns:
                yield now
                now += step

    return readings().__next__


def test_sampling_goes_on_for_the_runs_and_for_the_time() -> None:
    # After the first reading, each run reads 2 ms of invoke and 8 ms of everything else.
    def runs(**limits: float) -> list[int]:
        steps = clock(8_000_000, 2_000_000)
        return sample(Idle(), [{}], clock_ns=steps, **limits).tolist()  # type: ignore[arg-type]

    assert runs(min_runs=7, min_time_s=0, max_time_s=10) == [2_000_000] * 7
    assert len(runs(min_runs=1, min_time_s=0.1, max_time_s=10)) == 10
    assert len(runs(min_runs=1000, min_time_s=0, max_time_s=0.05)) == 5
    assert len(runs(min_runs=1, min_time_s=0, max_time_s=0)) == 1


def test_samples_take_turns() -> None:
    session = Idle()
    feeds: list[Any] = [{"x": 0}, {"x": 1}, {"x": 2}]
    sample(session, feeds, min_runs=7, min_time_s=0, max_time_s=9)  # type: ignore[arg-type]
    assert [feed["x"] for feed in session.fed] == [0, 1, 2, 0, 1, 2, 0]


def test_the_loop_adds_less_than_two_microseconds_to_a_call() -> None:
    samples_ns = sample(Idle(), [{}], min_runs=20_000, min_time_s=0, max_time_s=9)  # type: ignore[arg-type]
    assert statistics.median(samples_ns) < 2_000


def test_measured_is_what_an_independent_loop_measures(float_model: Path, samples: np.ndarray) -> None:
    feed = {"x": samples[:1]}
    with open_session("onnxruntime", float_model) as session:
        session.set_inputs(feed)
        ratios = []
        for _ in range(15):  # interleaved, as the machine's speed drifts
            ours = sample(session, [feed], min_runs=400, min_time_s=0, max_time_s=9).tolist()
            theirs = []
            for _ in range(400):
                session.set_inputs(feed)  # as between two of ours: it leaves colder caches than a plain loop
                start_ns = time.perf_counter_ns()
                session.invoke()
                theirs.append(time.perf_counter_ns() - start_ns)
            ratios.append(statistics.median(ours) / statistics.median(theirs))
    # A call of some microseconds, on a machine that may be busy in some of the rounds, but not in all of them.
    assert min(ratios) < 1.5
    assert max(ratios) > 0.67


@pytest.mark.parametrize(
    "numbers", [{"min_runs": 0}, {"warmup_s": -1}, {"min_time_s": -0.1}, {"min_time_s": 5, "max_time_s": 1}]
)
def test_a_protocol_out_of_range_is_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Protocol(**numbers)


def test_a_bundle_is_measured_artifact_by_artifact(bundle: Path) -> None:
    document = measure.bench(bundles.read(bundle), QUICK)
    json.dumps(document, allow_nan=False)
    assert document["schema"] == "edgepack.latency/1"
    assert document["protocol"]["input"] == "golden samples of the bundle, cycled"
    assert document["protocol"]["min_runs"] == 5
    assert document["environment"]["cpu"]
    assert [r["artifact"] for r in document["results"]] == ["model.float32.onnx", "model.int8.onnx"]
    for result in document["results"]:
        assert (result["status"], result["reason"]) == ("ok", None)
        assert result["runs"] == len(result["samples_ns"]) * result["samples_stride"] >= 5
        assert result["latency_ms"]["min"] * 1e6 == pytest.approx(min(result["samples_ns"]))
        assert result["import_ms"] > 1
        assert result["load_ms"] > 0
        assert result["first_inference_ms"] > 0
        assert result["warmup_runs"] >= 1
        assert 10 < result["peak_rss_mib"] < 500
        assert result["details"]["provider"] == "CPUExecutionProvider"
        assert result["sha256"] == bundles.sha256(bundle / result["artifact"])
        low, high = result["interval_ms"]["p50"]
        assert low <= result["latency_ms"]["p50"] <= high
        assert sum(window["runs"] for window in result["windows"]) == result["runs"]
        assert result["stable"] is None
        assert result["nodes"]["by"] == {"CPUExecutionProvider": result["nodes"]["total"]}
        assert set(result["machine"]["after"]) == {"governor", "frequency_khz", "temperature_c", "load_average"}
        assert "quick" in [flag["kind"] for flag in result["flags"]]
        assert len(result["processes"]) == 1 and result["reference_ms"] is None


def test_several_processes_become_one_result(bundle: Path) -> None:
    protocol = Protocol(warmup_s=0, min_runs=40, min_time_s=0, max_time_s=9, processes=2)
    for result in measure.bench(bundles.read(bundle), protocol)["results"]:
        assert [process["runs"] for process in result["processes"]] == [20, 20]
        assert (result["runs"], len(result["samples_ns"]), len(result["windows"])) == (40, 40, 10)
        assert result["latency_ms"]["p50"] == pytest.approx(statistics.median(result["samples_ns"]) / 1e6)
        medians = [process["p50_ms"] for process in result["processes"]]
        halves = [result["samples_ns"][half : half + 20] for half in (0, 20)]
        assert medians == pytest.approx([statistics.median(half) / 1e6 for half in halves])
        assert all(process["reference_ms"] > 0 for process in result["processes"])
        assert [flag["kind"] for flag in result["flags"] if flag["kind"] in ("quick", "short")] == ["short"]


def test_peak_memory_is_the_childs_and_not_its_parents(bundle: Path) -> None:
    ballast = np.ones(600 * 2**20 // 8)
    document = measure.bench(bundles.read(bundle, artifacts=["model.int8.onnx"]), QUICK)
    assert ballast.nbytes > 500 * 2**20
    assert document["results"][0]["peak_rss_mib"] < 300


def test_an_altered_file_is_not_timed_and_the_others_are(bundle: Path) -> None:
    edit(bundle, lambda m: m["artifacts"][0].update(sha256="0" * 64))
    first, second = measure.bench(bundles.read(bundle), QUICK)["results"]
    assert first["status"] == "error"
    assert "a wrong model has no latency" in first["reason"]
    assert first["latency_ms"] is None
    assert second["status"] == "ok"


def test_a_run_that_the_time_limit_cut_short_says_so(bundle: Path) -> None:
    short = Protocol(warmup_s=0, min_runs=10**9, min_time_s=0, max_time_s=0.05)
    (result, _) = measure.bench(bundles.read(bundle), short)["results"]
    assert result["status"] == "ok"
    assert result["reason"] == f"stopped after 0.05 s with {result['runs']} of 1000000000 runs"


def test_a_bare_file_is_measured_with_noise_and_says_so(float_model: Path) -> None:
    document = measure.bench([bundles.bare(float_model, threads=2)], QUICK)
    assert document["protocol"]["threads"] == 2
    assert "noise (seed 0" in document["protocol"]["input"]
    assert document["results"][0]["status"] == "ok"


def test_many_samples_are_thinned_evenly(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "KEPT_SAMPLES", 10)
    (entry, _) = bundles.read(bundle)
    protocol = {"warmup_s": 0, "min_runs": 95, "min_time_s": 0, "max_time_s": 9}
    result = measure.work({**entry.job(), "protocol": protocol}, 1.0)
    assert (result["runs"], result["samples_stride"], len(result["samples_ns"])) == (95, 10, 10)
