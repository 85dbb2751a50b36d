from typing import Any

import pytest

from edgepack.runner.merging import merge
from edgepack.runner.statistics import summarise


def part(samples_ns: list[int], *, stride: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": None,
        "import_ms": 1.0,
        "load_ms": 2.0,
        "first_inference_ms": 3.0,
        "latency_ms": summarise(samples_ns),
        "windows": [{"p50_ms": 1.0, "runs": len(samples_ns) * stride}],
        "stable": True,
        "flags": [],
        "machine": {"before": {"n": 1}, "after": {"n": 2}},
        "energy_mj": None,
        "reference_ms": 0.1,
        "elapsed_s": 1.0,
        "runs": len(samples_ns) * stride,
        "warmup_runs": 4,
        "samples_ns": samples_ns,
        "samples_stride": stride,
        "peak_rss_mib": 50.0,
        **changes,
    }


def test_starts_are_medians_memory_the_highest_and_energy_the_mean() -> None:
    whole = merge(
        [part([1], load_ms=9.0, energy_mj=1.0), part([2], peak_rss_mib=60.0, energy_mj=3.0), part([3], energy_mj=2.0)],
        kept=10,
    )
    assert (whole["load_ms"], whole["peak_rss_mib"], whole["energy_mj"]) == (2.0, 60.0, 2.0)
    assert [process["p10_ms"] for process in whole["processes"]] == [1e-6, 2e-6, 3e-6]
    assert [process["load_ms"] for process in whole["processes"]] == [9.0, 2.0, 2.0]
    assert (whole["runs"], whole["warmup_runs"], whole["elapsed_s"]) == (3, 12, 3.0)
    assert merge([part([1], energy_mj=1.0), part([2])], kept=10)["energy_mj"] is None


def test_samples_are_thinned_alike() -> None:
    whole = merge([part(list(range(10, 20)), stride=4), part(list(range(40)), stride=1)], kept=10)
    assert whole["samples_stride"] == 8
    assert whole["samples_ns"] == [10, 12, 14, 16, 18, 0, 8, 16, 24, 32]
    assert whole["latency_ms"]["max"] * 1e6 == pytest.approx(39)


@pytest.mark.parametrize(
    ("stable", "together"), [([True, True], True), ([True, False], False), ([None, True], None)], ids=str
)
def test_all_processes_have_to_be_stable(stable: list[bool | None], together: bool | None) -> None:
    assert merge([part([1], stable=value) for value in stable], kept=9)["stable"] is together


def test_a_flag_is_said_once_and_a_failure_is_everyones() -> None:
    flags = [{"kind": "contention", "text": "first"}], [{"kind": "contention", "text": "second"}]
    assert merge([part([1], flags=flags[0]), part([1], flags=flags[1])], kept=9)["flags"] == flags[0]
    broken = {"status": "error", "reason": "it crashed"}
    assert merge([part([1]), broken], kept=9) == broken
