"""How do the measurements of several processes of one artifact become one result?"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .statistics import intervals_ms, summarise


def merge(parts: Sequence[Mapping[str, Any]], *, kept: int) -> dict[str, Any]:
    """One result from those of one or more processes; a failure is the result of all.

    Times of the start are medians, memory is the highest, samples are those of all, and intervals hold what differs
    between processes as well. What each process found by itself is in ``processes``.

    Args:
        parts: Results of schema ``edgepack.latency/1``, of one artifact under one runtime.
        kept: Samples to keep at most.
    """
    failed = next((part for part in parts if part["status"] != "ok"), None)
    if failed is not None:
        return dict(failed)
    result = {**parts[0], "processes": [_process(part) for part in parts]}
    if len(parts) == 1:
        return result
    # Those of a process that took many samples are thinned out; all are thinned alike, so that none counts for more.
    most = max(part["samples_stride"] for part in parts)
    samples = [np.asarray(part["samples_ns"][:: most // part["samples_stride"]], dtype=np.int64) for part in parts]
    together = np.concatenate(samples)
    further = -(-len(together) // kept)
    stable = [part["stable"] for part in parts]
    energies = [part["energy_mj"] for part in parts]
    latency_ms = summarise(together)
    latency_ms["min"] = min(part["latency_ms"]["min"] for part in parts)
    latency_ms["max"] = max(part["latency_ms"]["max"] for part in parts)
    return {
        **result,
        "reason": next((part["reason"] for part in parts if part["reason"]), None),
        **{
            key: statistics.median(part[key] for part in parts)
            for key in ("import_ms", "load_ms", "first_inference_ms")
        },
        "latency_ms": latency_ms,
        "interval_ms": intervals_ms(samples),
        "windows": [window for part in parts for window in part["windows"]],
        "stable": None if None in stable else all(stable),
        "flags": list({flag["kind"]: flag for part in reversed(parts) for flag in part["flags"]}.values()),
        "machine": {"before": parts[0]["machine"]["before"], "after": parts[-1]["machine"]["after"]},
        "energy_mj": None if None in energies else statistics.mean(energies),
        "reference_ms": statistics.median(part["reference_ms"] for part in parts),
        "elapsed_s": sum(part["elapsed_s"] for part in parts),
        "runs": sum(part["runs"] for part in parts),
        "warmup_runs": sum(part["warmup_runs"] for part in parts),
        "samples_ns": together[::further].tolist(),
        "samples_stride": most * further,
        "peak_rss_mib": max(part["peak_rss_mib"] for part in parts),
    }


def _process(part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "p10_ms": float(np.percentile(part["samples_ns"], 10)) / 1e6,
        "p50_ms": part["latency_ms"]["p50"],
        "runs": part["runs"],
        "load_ms": part["load_ms"],
        "first_inference_ms": part["first_inference_ms"],
        "reference_ms": part["reference_ms"],
        "stable": part["stable"],
    }
