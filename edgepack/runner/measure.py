"""How long does one inference take here, from a cold start to the steady state?

What is timed is ``Session.invoke`` alone, which is the runtime's own call: from inputs that are in the
runtime's buffers to outputs that are there. Setting the next sample, quantising it and reading outputs lie
outside. Each artifact is measured in a fresh process under each of its runtimes.
"""

import gc
import resource
import statistics
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import bundle, environment, noise, sessions
from .child import call
from .columns import Columns
from .errors import RunnerError, UsageError
from .infer import check_samples
from .tensors import TensorSpec, quantize

_T = TypeVar("_T")

SCHEMA = "edgepack.latency/1"
# More raw samples than this are thinned out evenly: a model of a few microseconds would fill megabytes.
KEPT_SAMPLES = 20_000


@dataclass(frozen=True)
class Protocol:
    """How to measure.

    Attributes:
        warmup_s: Seconds of running before the first sample counts.
        min_runs: Samples to take at least.
        min_time_s: Seconds to sample at least.
        max_time_s: Seconds after which sampling stops in any case, with at least one sample taken.
        start_timeout_s: Seconds that import, load and first inference may take before the process counts as
            hung.
        quick: Whether this only shows that measuring works; results say so.
    """

    warmup_s: float = 1.0
    min_runs: int = 50
    min_time_s: float = 10.0
    max_time_s: float = 60.0
    start_timeout_s: float = 120.0
    quick: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError when a number is out of range."""
        if self.min_runs < 1 or min(self.warmup_s, self.min_time_s) < 0 or self.start_timeout_s <= 0:
            raise UsageError(f"{self}; expected min_runs of at least 1 and no negative time")
        if self.max_time_s < self.min_time_s:
            raise UsageError(f"max_time_s={self.max_time_s:g} is below min_time_s={self.min_time_s:g}")


def bench(entries: Sequence[bundle.Entry], protocol: Protocol) -> dict[str, Any]:
    """Measure each artifact under each of its runtimes, one after the other, each in a fresh process.

    Args:
        entries: What to measure; a file that is not what the manifest says is not timed.
        protocol: How.

    Returns:
        The document of schema ``edgepack.latency/1``. A process that crashes or hangs gives a result with the
        status ``"error"`` and a reason; the others go on.
    """
    machine = environment.describe()
    results = [_result(entry, protocol) for entry in entries]
    bare = any(entry.golden is None for entry in entries)
    return {
        "schema": SCHEMA,
        "protocol": {
            "threads": max(entry.threads for entry in entries),
            **asdict(protocol),
            "clock": "time.perf_counter_ns",
            "timed": "the runtime's own call, from inputs in its buffers to outputs in its buffers",
            "percentiles": "linear interpolation",
            "input": noise.DESCRIPTION if bare else "golden samples of the bundle, cycled",
        },
        "environment": machine,
        "results": results,
    }


def work(job: Mapping[str, Any], import_ms: float) -> dict[str, Any]:
    """Measure one artifact in this process; called in a process of its own.

    Args:
        job: An entry's job with ``protocol``, the fields of ``Protocol``.
        import_ms: What importing numpy and the runtime took.

    Returns:
        The measured part of one result.
    """
    protocol = Protocol(**job["protocol"])
    load_ms, session = _timed_ms(lambda: sessions.open_job(job))
    with session:
        feeds = _feeds(session.inputs, job["golden"], job["columns"])
        session.set_inputs(feeds[0])
        first_ms, _ = _timed_ms(session.invoke)
        warmup = sample(session, feeds, min_runs=1, min_time_s=protocol.warmup_s, max_time_s=protocol.warmup_s)
        samples_ns = sample(
            session,
            feeds,
            min_runs=protocol.min_runs,
            min_time_s=protocol.min_time_s,
            max_time_s=protocol.max_time_s,
        )
        details = session.details
    stride = -(-len(samples_ns) // KEPT_SAMPLES)
    return {
        "runtime_version": details["version"],
        "details": details,
        "reason": _early(len(samples_ns), protocol),
        "import_ms": import_ms,
        "load_ms": load_ms,
        "first_inference_ms": first_ms,
        "latency_ms": summarise(samples_ns),
        "runs": len(samples_ns),
        "warmup_runs": len(warmup),
        "samples_ns": samples_ns[::stride].tolist(),
        "samples_stride": stride,
        "peak_rss_mib": peak_rss_mib(),
    }


def sample(
    session: sessions.Session,
    feeds: Sequence[Mapping[str, NDArray[Any]]],
    *,
    min_runs: int,
    min_time_s: float,
    max_time_s: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> "array[int]":
    """Time single inferences, the samples in turn, until there are enough.

    Args:
        session: An open session.
        feeds: Inputs in the model's dtypes, used in turn.
        min_runs: Samples to take at least.
        min_time_s: Seconds, of everything in the loop, to go on at least.
        max_time_s: Seconds after which to stop in any case.
        clock_ns: A monotonic clock.

    Returns:
        Nanoseconds of each call, in the order in which they were taken.
    """
    samples_ns = array("q")
    keep, set_inputs, count = samples_ns.append, session.set_inputs, len(feeds)
    collected = gc.isenabled()
    gc.disable()  # a collection would fall into some sample and be taken for the model's
    try:
        begin_ns = clock_ns()
        enough_ns, stop_ns = begin_ns + int(min_time_s * 1e9), begin_ns + int(max_time_s * 1e9)
        while True:
            set_inputs(feeds[len(samples_ns) % count])
            invoke = session.invoke  # looked up again, as binding other inputs may have replaced it
            start_ns = clock_ns()
            invoke()
            end_ns = clock_ns()
            keep(end_ns - start_ns)
            if end_ns >= stop_ns or (end_ns >= enough_ns and len(samples_ns) >= min_runs):
                return samples_ns
    finally:
        if collected:
            gc.enable()


def summarise(samples_ns: Sequence[int]) -> dict[str, float]:
    """Statistics of samples in nanoseconds, as milliseconds; percentiles by linear interpolation.

    Args:
        samples_ns: One or more samples.

    Returns:
        ``p50``, ``p90``, ``p99``, ``mean``, ``min``, ``max`` and ``stdev`` (of the sample; 0 for a single
        one).
    """
    values_ms = np.asarray(samples_ns, dtype=np.float64) / 1e6
    p50, p90, p99 = (float(value) for value in np.percentile(values_ms, [50, 90, 99]))
    return {
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "mean": float(values_ms.mean()),
        "min": float(values_ms.min()),
        "max": float(values_ms.max()),
        "stdev": statistics.stdev(values_ms.tolist()) if len(values_ms) > 1 else 0.0,
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


def _feeds(inputs: Sequence[TensorSpec], golden: str | None, columns: Columns) -> list[dict[str, NDArray[Any]]]:
    """Inputs of one inference each, in the model's dtypes and batch."""
    if golden is None:
        values = {spec.name: noise.samples(spec) for spec in inputs}
        return [{name: value[i] for name, value in values.items()} for i in range(noise.SAMPLES)]
    if len(inputs) != 1:
        raise UsageError(f"the model has {len(inputs)} inputs; golden samples are for one")
    (spec,) = inputs
    real = bundle.golden_input(Path(golden), columns)
    check_samples(real, spec.sample_shape)
    fed = quantize(real, spec)
    batch = max(spec.shape[0], 1)
    # Each sample begins one batch; a batch larger than one goes round at the end.
    return [{spec.name: fed[np.arange(first, first + batch) % len(fed)]} for first in range(len(fed))]


def _result(entry: bundle.Entry, protocol: Protocol) -> dict[str, Any]:
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
        job = {**entry.job(), "protocol": asdict(protocol)}
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
    "runs",
    "warmup_runs",
    "samples_ns",
    "samples_stride",
    "peak_rss_mib",
)


def _early(runs: int, protocol: Protocol) -> str | None:
    if runs >= protocol.min_runs:
        return None
    return f"stopped after {protocol.max_time_s:g} s with {runs} of {protocol.min_runs} runs"


def _timed_ms(action: Callable[[], _T]) -> tuple[float, _T]:
    start_ns = time.perf_counter_ns()
    result = action()
    return (time.perf_counter_ns() - start_ns) / 1e6, result
