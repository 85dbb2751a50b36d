"""Do several runs together say what all their inferences would, and what a reader has to know besides?"""

import math
import statistics
from typing import Any

import pytest

from edgepack.android.combine import flags, interval_ms, latency_ms, processes, spread, windows
from edgepack.android.output import Output, Timing

CALM = {"temperature_c": 40.0, "thermal_status": 0, "frequency_limit_khz": 2_800_000}


def output(times_us: list[float], *, median: bool = True) -> Output:
    ordered = sorted(times_us)
    percentiles = (ordered[0], statistics.median(times_us), ordered[-1]) if median else (None, None, None)
    timing = Timing(
        len(times_us), times_us[0], ordered[0], ordered[-1], statistics.fmean(times_us), statistics.pstdev(times_us),
        *percentiles,
    )  # fmt: skip
    return Output(1000, 50, 3, timing, None, None, None, (), {}, (), (), ())


def judged(outputs: list[Output], before: Any = CALM, after: Any = CALM, **words: Any) -> list[str]:
    given = {"quick": False, "min_runs": 1, "emulated": False, **words}
    return [flag["kind"] for flag in flags(outputs, before, after, **given)]


def test_mean_limits_and_deviation_are_those_of_all_inferences() -> None:
    parts = [[1000.0, 1100, 1250], [990.0, 1010, 1400, 1000], [1050.0]]
    together = [value / 1000 for part in parts for value in part]
    found = latency_ms([output(part) for part in parts])
    assert found["mean"] == pytest.approx(statistics.fmean(together))
    assert found["stdev"] == pytest.approx(statistics.pstdev(together))
    assert (found["min"], found["max"]) == (min(together), max(together))
    assert found["p50"] == pytest.approx((1.1 + 1.005 + 1.05) / 3)
    assert found["p90"] is None and found["p99"] is None


def test_an_old_program_has_no_percentiles() -> None:
    runs = [output([1000.0, 1100], median=False)] * 5
    assert [latency_ms(runs)[key] for key in ("p5", "p50", "p95")] == [None] * 3
    assert interval_ms(runs) == {"p50": None, "p90": None, "p99": None}
    assert processes(runs) is None
    assert windows(runs)[0] == {"p50_ms": None, "mean_ms": 1.05, "runs": 2}


def test_each_start_is_a_process_of_a_baseline() -> None:
    found = processes([output([1000.0, 1100, 1200]), output([1050.0])]) or []
    assert [process["p50_ms"] for process in found] == [1.1, 1.05]
    assert [process["first_inference_ms"] for process in found] == [0.05, 0.05]


def test_the_interval_is_students() -> None:
    medians = [1.0, 1.1, 0.9, 1.05, 0.95]
    low, high = interval_ms([output([value * 1000] * 3) for value in medians])["p50"] or []
    half = 2.776445 * statistics.stdev(medians) / math.sqrt(5)
    assert (low, high) == pytest.approx((1 - half, 1 + half), rel=1e-5)


def test_one_run_has_neither_interval_nor_spread() -> None:
    assert interval_ms([output([1000.0])])["p50"] is None
    assert spread([output([1000.0])]) is None


def test_flags() -> None:
    calm = [output([1000.0, 1010]), output([1001.0, 1012])]
    assert judged(calm) == []
    assert judged([output([1000.0]), output([1200.0])]) == ["unstable"]
    assert judged(calm, after={**CALM, "thermal_status": 2}) == ["throttling"]
    assert judged(calm, after={**CALM, "frequency_limit_khz": 1_900_000}) == ["throttling"]
    assert judged(calm, min_runs=50) == ["short"]
    assert judged(calm, emulated=True, quick=True) == ["emulated", "quick"]
    assert judged(calm, {**CALM, "frequency_limit_khz": None}, dict.fromkeys(CALM)) == []
