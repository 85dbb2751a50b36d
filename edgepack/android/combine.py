"""What do several runs of ``benchmark_model`` over one file say together?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgepack.runner import statistics

from .facts import THROTTLING
from .output import Output

UNSTABLE_SHARE = 0.05
"""Runs whose typical times are further apart than this do not tell one figure."""
LOWERED_SHARE = 0.1
"""A limit of the frequency that fell by more than this was taken away by Android, for heat or for the battery."""

PERCENTILES = (
    "benchmark_model prints no single times: p50 is the mean of the runs' medians, p5 and p95 are the lowest and the "
    "highest of the runs', p90 and p99 are not known; null where the program is too old to tell"
)


def latency_ms(outputs: Sequence[Output]) -> dict[str, float | None]:
    """Statistics over all timed inferences of several runs, in milliseconds.

    Mean, limits and deviation are exact; of percentiles there is what the program prints, see `PERCENTILES`.
    """
    rows = [output.inference for output in outputs]
    runs = sum(row.runs for row in rows)
    mean = sum(row.runs * row.mean_us for row in rows) / runs
    variance = sum(row.runs * (row.stdev_us**2 + (row.mean_us - mean) ** 2) for row in rows) / runs
    medians, low, high = (
        [value for row in rows if (value := getattr(row, name)) is not None]
        for name in ("median_us", "p5_us", "p95_us")
    )
    whole = len(medians) == len(low) == len(high) == len(rows)
    return {
        "p50": sum(medians) / len(medians) / 1e3 if whole else None,
        "p90": None,
        "p99": None,
        "p5": min(low) / 1e3 if whole else None,
        "p95": max(high) / 1e3 if whole else None,
        "mean": mean / 1e3,
        "min": min(row.min_us for row in rows) / 1e3,
        "max": max(row.max_us for row in rows) / 1e3,
        "stdev": math.sqrt(variance) / 1e3,
    }


def windows(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Each run: its median and mean in milliseconds, and how many inferences it had."""
    return [
        {
            "p50_ms": None if output.inference.median_us is None else output.inference.median_us / 1e3,
            "mean_ms": output.inference.mean_us / 1e3,
            "runs": output.inference.runs,
        }
        for output in outputs
    ]


def processes(outputs: Sequence[Output]) -> list[dict[str, Any]] | None:
    """Each run as a baseline takes it, see `edgepack.baseline`; None where the program tells no medians."""
    found = windows(outputs)
    if any(window["p50_ms"] is None for window in found):
        return None
    return [
        {
            "p50_ms": window["p50_ms"],
            "runs": window["runs"],
            "load_ms": output.init_us / 1e3,
            "first_inference_ms": None if output.first_us is None else output.first_us / 1e3,
            "reference_ms": None,
            "stable": None,
        }
        for window, output in zip(found, outputs, strict=True)
    ]


def typical_ms(outputs: Sequence[Output]) -> list[float]:
    """The median of each run where all have one, else the mean of each."""
    found = windows(outputs)
    key = "p50_ms" if all(window["p50_ms"] is not None for window in found) else "mean_ms"
    return [float(window[key]) for window in found]


def interval_ms(outputs: Sequence[Output]) -> dict[str, list[float] | None]:
    """Confidence interval (95 %) of p50, from how the runs, each of them a process of its own, differ."""
    medians = [output.inference.median_us for output in outputs]
    known = [value / 1e3 for value in medians if value is not None]
    if len(known) < len(medians) or len(known) < 2:
        return {"p50": None, "p90": None, "p99": None}
    _, low, high = statistics.mean_interval(known, level=statistics.LEVEL)
    return {"p50": [max(0.0, low), high], "p90": None, "p99": None}


def spread(outputs: Sequence[Output]) -> float | None:
    """How far the runs' typical times are apart, as a share of their middle; None of a single run."""
    values = typical_ms(outputs)
    if len(values) < 2:
        return None
    middle = sorted(values)[len(values) // 2]
    return (max(values) - min(values)) / middle if middle > 0 else 0.0


def flags(
    outputs: Sequence[Output],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    quick: bool,
    min_runs: int,
    emulated: bool,
) -> list[dict[str, str]]:
    """What a reader has to know before the numbers are believed."""
    found = []
    apart = spread(outputs)
    runs = sum(output.inference.runs for output in outputs)
    if apart is not None and apart > UNSTABLE_SHARE:
        found.append(("unstable", f"The runs are up to {apart:.0%} apart: no single figure describes them."))
    if slowed := _slowed(before, after):
        found.append(("throttling", slowed))
    if runs < min_runs:
        found.append(("short", f"The time was up after {runs} of {min_runs} inferences."))
    if emulated:
        found.append(("emulated", "This is an emulator of Android: its times mean nothing."))
    if quick:
        found.append(("quick", "Measured quickly, to show that measuring works."))
    return [{"kind": kind, "text": text} for kind, text in found]


def _slowed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    warm = f" at {after['temperature_c']:.0f} °C" if after["temperature_c"] is not None else ""
    status = after["thermal_status"]
    if status is not None and status >= THROTTLING:
        return f"Android reports the thermal status {status} (0 is none, 6 is shutdown){warm}: it slows the phone down."
    was, became = before["frequency_limit_khz"], after["frequency_limit_khz"]
    if was and became and became < (1 - LOWERED_SHARE) * was:
        return f"Android lowered the highest frequency from {was / 1e6:.2f} to {became / 1e6:.2f} GHz{warm}."
    return None
