"""How long is a model timed, and has its latency settled?

Sampling goes on in windows, of which five make up the shortest time and the smallest number of runs that were asked
for. The latency has settled when the medians of the last five windows lie within 5 % of one another; only these five
then count, and what came before them was warm-up (frequencies, caches and memory may take longer than the time that was
set aside for it). NVIDIA's Perf Analyzer does the same with the last three windows and 10 %; it is 5 % here as that is
the difference which a regression gate is usually asked to find. Where the latency does not settle within three times
the shortest time, everything counts, and the result says that it is unstable.
"""

import gc
import math
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .sessions import Session

WINDOWS = 5
SETTLED_SHARE = 0.05
PATIENCE = 3


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
        quick: Whether this only shows that measuring works; results say so, and nothing is asked to be stable.
        processes: Fresh processes over which runs and time are divided.
    """

    warmup_s: float = 1.0
    min_runs: int = 50
    min_time_s: float = 10.0
    max_time_s: float = 60.0
    start_timeout_s: float = 120.0
    quick: bool = False
    processes: int = 1

    def __post_init__(self) -> None:
        """Raises UsageError when a number is out of range."""
        if self.min_runs < 1 or min(self.warmup_s, self.min_time_s) < 0 or self.start_timeout_s <= 0:
            raise UsageError(f"{self}; expected min_runs of at least 1 and no negative time")
        if self.max_time_s < self.min_time_s:
            raise UsageError(f"max_time_s={self.max_time_s:g} is below min_time_s={self.min_time_s:g}")
        if self.processes < 1:
            raise UsageError(f"processes={self.processes}; expected at least 1")

    @property
    def wants_stability(self) -> bool:
        """Whether sampling goes on until the latency has settled."""
        return not self.quick and self.min_time_s > 0 and self.min_runs >= WINDOWS

    def share(self) -> "Protocol":
        """What one of the processes does."""
        return replace(
            self,
            min_runs=math.ceil(self.min_runs / self.processes),
            min_time_s=self.min_time_s / self.processes,
            max_time_s=self.max_time_s / self.processes,
            processes=1,
        )


@dataclass(frozen=True)
class Sampled:
    """What was timed.

    Attributes:
        windows: The samples of each window in nanoseconds, in the order in which they were taken.
        counted: How many windows, from the end, the figures are of.
        stable: Whether the latency settled; None when that was not asked.
        elapsed_s: Seconds that the windows which count took, inputs included.
    """

    windows: tuple["array[int]", ...]
    counted: int
    stable: bool | None
    elapsed_s: float

    @property
    def samples_ns(self) -> NDArray[np.int64]:
        """The samples that count."""
        return np.concatenate([np.asarray(window) for window in self.windows[-self.counted :]])

    @property
    def spread(self) -> float:
        """How far apart the medians of the last windows lie, as a share of the smallest."""
        return _spread(self.windows[-WINDOWS:])


def steady(
    session: Session,
    feeds: Sequence[Mapping[str, NDArray[Any]]],
    protocol: Protocol,
    *,
    between: Callable[[], object] = lambda: None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Sampled:
    """Sample until there is enough and the latency has settled, or the time is up.

    Args:
        session: An open session, warmed up.
        feeds: Inputs in the model's dtypes, used in turn.
        protocol: How long.
        between: Called before the first window and after each.
        clock_ns: A monotonic clock.
    """
    windows: list[array[int]] = []
    most = min(WINDOWS, protocol.min_runs)
    taken, ends_ns = 0, [clock_ns()]
    between()
    while True:
        # The smallest number of runs is spread over the first windows; later ones are as long as the longest of these.
        due = math.ceil(protocol.min_runs * min(len(windows) + 1, most) / most) - taken
        windows.append(
            sample(
                session,
                feeds,
                first=taken,
                min_runs=due if len(windows) < most and due > 0 else math.ceil(protocol.min_runs / most),
                min_time_s=protocol.min_time_s / most,
                max_time_s=max(0.0, protocol.max_time_s - (clock_ns() - ends_ns[0]) / 1e9),
                clock_ns=clock_ns,
            )
        )
        between()
        taken += len(windows[-1])
        ends_ns.append(clock_ns())
        settled = len(windows) >= WINDOWS and _spread(windows[-WINDOWS:]) <= SETTLED_SHARE
        if protocol.wants_stability and settled:
            return Sampled(tuple(windows), WINDOWS, True, (ends_ns[-1] - ends_ns[-1 - WINDOWS]) / 1e9)
        elapsed_s = (ends_ns[-1] - ends_ns[0]) / 1e9
        patient = protocol.wants_stability and elapsed_s < PATIENCE * protocol.min_time_s
        if (len(windows) >= most and not patient) or elapsed_s >= protocol.max_time_s:
            return Sampled(tuple(windows), len(windows), False if protocol.wants_stability else None, elapsed_s)


def sample(
    session: Session,
    feeds: Sequence[Mapping[str, NDArray[Any]]],
    *,
    min_runs: int,
    min_time_s: float,
    max_time_s: float,
    first: int = 0,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> "array[int]":
    """Time single inferences, the samples in turn, until there are enough.

    Args:
        session: An open session.
        feeds: Inputs in the model's dtypes, used in turn.
        min_runs: Samples to take at least.
        min_time_s: Seconds, of everything in the loop, to go on at least.
        max_time_s: Seconds after which to stop in any case.
        first: How many inputs were used before; these go on from there.
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
            set_inputs(feeds[(first + len(samples_ns)) % count])
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


def _spread(windows: Sequence["array[int]"]) -> float:
    medians = [float(np.median(np.asarray(window))) for window in windows]
    return max(medians) / max(min(medians), 1.0) - 1
