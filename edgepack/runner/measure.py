"""How long does one inference take here, from a cold start to the steady state?

What is timed is ``Session.invoke`` alone, which is the runtime's own call: from inputs that are in the
runtime's buffers to outputs that are there. Setting the next sample, quantising it and reading outputs lie
outside. Each artifact is measured in a fresh process under each of its runtimes, or in several.
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import bundle, environment, machine, merging, noise, sessions
from .child import call
from .columns import Columns
from .energy import Meter
from .errors import RunnerError, UsageError
from .infer import golden_batches
from .reference import reference_ms
from .sampling import SETTLED_SHARE, WINDOWS, Protocol, Sampled, sample, steady
from .statistics import LEVEL, RESAMPLES, intervals_ms, summarise
from .tensors import TensorSpec

__all__ = ["SCHEMA", "Protocol", "bench", "feeds", "peak_rss_mib", "work"]

_T = TypeVar("_T")

SCHEMA = "edgepack.latency/1"
# More raw samples than this are thinned out evenly: a model of a few microseconds would fill megabytes.
KEPT_SAMPLES = 20_000

RELIABLE_RUNS, RELIABLE_TIME_S = 50, 10.0
"""Results of less than this are flagged as short."""


def bench(entries: Sequence[bundle.Entry], protocol: Protocol) -> dict[str, Any]:
    """Measure each artifact under each of its runtimes, one after the other, each in a fresh process.

    Several processes of an artifact take turns with those of the others, so that a machine whose speed drifts is the
    same to all of them.

    Args:
        entries: What to measure; a file that is not what the manifest says is not timed.
        protocol: How.

    Returns:
        The document of schema ``edgepack.latency/1``. A process that crashes or hangs gives a result with the
        status ``"error"`` and a reason; the others go on.
    """
    facts = environment.describe()
    share = protocol.share()
    parts: list[list[dict[str, Any]]] = [[] for _ in entries]
    for _ in range(protocol.processes):
        for entry, measured in zip(entries, parts, strict=True):
            if all(part["status"] == "ok" for part in measured):
                measured.append(_result(entry, share, reference=protocol.processes > 1))
    bare = any(entry.golden is None for entry in entries)
    return {
        "schema": SCHEMA,
        "protocol": {
            "threads": max(entry.threads for entry in entries),
            **asdict(protocol),
            "clock": "wall",
            "timer": "time.perf_counter_ns",
            "timed": "the runtime's own call, from inputs in its buffers to outputs in its buffers",
            "percentiles": "linear interpolation",
            "intervals": f"{LEVEL:.0%}, bootstrap of blocks of consecutive samples, {RESAMPLES} resamples, seed 0",
            "stable": f"the medians of the last {WINDOWS} windows lie within {SETTLED_SHARE:.0%} of one another",
            "input": noise.DESCRIPTION if bare else "golden samples of the bundle, cycled",
        },
        "environment": facts,
        "results": [_flagged(merging.merge(measured, kept=KEPT_SAMPLES), protocol, facts) for measured in parts],
    }


def work(job: Mapping[str, Any], import_ms: float) -> dict[str, Any]:
    """Measure one artifact in this process; called in a process of its own.

    Args:
        job: An entry's job with ``protocol``, the fields of ``Protocol``, and ``reference``: whether the machine's own
            speed is measured, too.
        import_ms: What importing numpy and the runtime took.

    Returns:
        The measured part of one result.
    """
    protocol = Protocol(**job["protocol"])
    load_ms, session = _timed_ms(lambda: sessions.open_job(job))
    with session:
        fed = feeds(session.inputs, job["golden"], job["columns"])
        session.set_inputs(fed[0])
        first_ms, _ = _timed_ms(session.invoke)
        warmup = sample(session, fed, min_runs=1, min_time_s=protocol.warmup_s, max_time_s=protocol.warmup_s)
        peak_mib = peak_rss_mib()  # the samples to come are none of the model's memory
        speed_ms = [reference_ms()] if job.get("reference") else []
        meter = Meter()
        start, before = machine.state(), machine.counters()
        readings: list[Any] = []
        sampled = steady(session, fed, protocol, between=lambda: readings.append(meter.read()))
        after, end = machine.counters(), machine.state()
        speed_ms += [reference_ms()] if job.get("reference") else []
        details = session.details
    samples_ns = sampled.samples_ns
    stride = -(-len(samples_ns) // KEPT_SAMPLES)
    by = details.get("nodes_by")
    disturbed = {
        "contention": machine.contention(before, after),
        "throttling": machine.throttling(before, after, start, end),
        "unstable": _unstable(sampled, protocol),
    }
    return {
        "runtime_version": details["version"],
        "details": details,
        "reason": _early(len(samples_ns), protocol),
        "import_ms": import_ms,
        "load_ms": load_ms,
        "first_inference_ms": first_ms,
        "latency_ms": summarise(samples_ns),
        "interval_ms": intervals_ms([samples_ns]),
        "windows": [
            {"p50_ms": float(np.median(np.asarray(window))) / 1e6, "runs": len(window)} for window in sampled.windows
        ],
        "stable": sampled.stable,
        "flags": [{"kind": kind, "text": text} for kind, text in disturbed.items() if text],
        "machine": {"before": start, "after": end},
        "energy_mj": meter.energy_mj(readings[-sampled.counted - 1 :], len(samples_ns)),
        "energy_source": meter.source,
        "nodes": None if by is None else {"total": sum(by.values()), "by": by},
        "reference_ms": sum(speed_ms) / 2 if speed_ms else None,
        "elapsed_s": sampled.elapsed_s,
        "runs": len(samples_ns),
        "warmup_runs": len(warmup) + sum(map(len, sampled.windows)) - len(samples_ns),
        "samples_ns": samples_ns[::stride].tolist(),
        "samples_stride": stride,
        "peak_rss_mib": peak_mib,
    }


def peak_rss_mib() -> float:
    """The most memory, in MiB, that this process has held so far.

    Linux hands the parent's peak on to a new process in ``getrusage``; the kernel's VmHWM begins anew.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def feeds(inputs: Sequence[TensorSpec], golden: str | None, columns: Columns) -> list[dict[str, NDArray[Any]]]:
    """Inputs of one inference each, in the model's dtypes and batch.

    Args:
        inputs: The model's.
        golden: The file of golden samples; None for noise.
        columns: What stands in each place of a golden sample.

    Raises:
        UsageError: The samples do not fit the model.
    """
    if golden is None:
        values = {spec.name: noise.samples(spec) for spec in inputs}
        return [{name: value[i] for name, value in values.items()} for i in range(noise.SAMPLES)]
    if len(inputs) != 1:
        raise UsageError(f"the model has {len(inputs)} inputs; golden samples are for one")
    (spec,) = inputs
    return [{spec.name: batch} for batch in golden_batches(Path(golden), columns, spec)]


def _result(entry: bundle.Entry, protocol: Protocol, *, reference: bool) -> dict[str, Any]:
    known = {
        "artifact": entry.name,
        "sha256": bundle.sha256(entry.path) if entry.path.is_file() else None,
        "runtime": entry.runtime,
        "threads": entry.threads,
    }
    # After the start there is the warm-up, the sampling, and an inference that began just before the end of
    # each.
    timeout_s = 2 * protocol.start_timeout_s + protocol.warmup_s + protocol.max_time_s
    try:
        reason = bundle.altered(entry)
        if reason is not None:
            raise RunnerError(f"{reason}; a wrong model has no latency")
        job = {**entry.job(), "protocol": asdict(protocol), "reference": reference}
        return {**known, "status": "ok", **call("measure", job, timeout_s=timeout_s)}
    except RunnerError as error:
        return {**known, "status": "error", **dict.fromkeys(_MEASURED), "reason": str(error)}


_MEASURED = (
    "runtime_version",
    "details",
    "import_ms",
    "load_ms",
    "first_inference_ms",
    "latency_ms",
    "interval_ms",
    "windows",
    "stable",
    "machine",
    "energy_mj",
    "energy_source",
    "nodes",
    "reference_ms",
    "elapsed_s",
    "runs",
    "warmup_runs",
    "samples_ns",
    "samples_stride",
    "peak_rss_mib",
)


def _flagged(result: dict[str, Any], protocol: Protocol, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A result with the flags that follow from how it was asked for and where."""
    flags = list(result.get("flags") or [])
    if result["status"] == "ok":
        if protocol.quick:
            flags.append({"kind": "quick", "text": "Measured quickly, to show that measuring works."})
        elif result["runs"] < RELIABLE_RUNS or result["elapsed_s"] < RELIABLE_TIME_S:
            text = (
                f"{result['runs']:,} runs in {result['elapsed_s']:.1f} s; "
                f"a figure to rely on takes {RELIABLE_RUNS} runs and {RELIABLE_TIME_S:g} s."
            )
            flags.append({"kind": "short", "text": text})
        if facts["emulated"]:
            flags.append({"kind": "emulated", "text": "Instructions are emulated here: these times mean nothing."})
    return {**result, "flags": flags}


def _unstable(sampled: Sampled, protocol: Protocol) -> str | None:
    if sampled.stable is not False:
        return None
    if len(sampled.windows) < WINDOWS:
        return f"Only {len(sampled.windows)} of {WINDOWS} windows fit into {protocol.max_time_s:g} s."
    return (
        f"After {sampled.elapsed_s:.0f} s the medians of the last {WINDOWS} windows still differ by "
        f"{sampled.spread:.0%}, more than {SETTLED_SHARE:.0%}."
    )


def _early(runs: int, protocol: Protocol) -> str | None:
    if runs >= protocol.min_runs:
        return None
    return f"stopped after {protocol.max_time_s:g} s with {runs} of {protocol.min_runs} runs"


def _timed_ms(action: Callable[[], _T]) -> tuple[float, _T]:
    start_ns = time.perf_counter_ns()
    result = action()
    return (time.perf_counter_ns() - start_ns) / 1e6, result
