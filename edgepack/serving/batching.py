"""Which waiting requests share the next inference, and how long does one wait at most?

All decisions are made on the event loop, so nothing here takes a lock: requests wait in one queue, each instance of the
model has a thread, and an instance that has become free takes what waits, as many rows as fit. A lone request never
waits for company unless ``delay_s`` says so. What takes no longer than handing it to a thread and back is run at once.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import RequestError

Tensors = Mapping[str, NDArray[Any]]
Run = Callable[[Tensors], Tensors]


@dataclass
class Job:
    """A request that waits for its outputs, with the times at which what happened, and with how many others."""

    feed: Tensors
    rows: int
    outputs: "asyncio.Future[Tensors]"
    queued_at: float
    timeout_s: float
    started_at: float = 0.0
    inference_s: float = 0.0
    batch_rows: int = 0
    shape: tuple[tuple[int, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        self.shape = tuple(array.shape[1:] for array in self.feed.values())


class Batcher:
    """Runs jobs on one or more instances of a model.

    Args:
        runs: One function for each instance; each is called in a thread of its own, one call at a time.
        max_rows: Rows of one inference at most; 1 keeps requests apart.
        max_queue: Requests that may wait.
        quick_rows: Requests of up to so many rows are run on the event loop itself when nothing else is going on.
        delay_s: How long an instance that is free waits for more rows.
        observe: Called after each inference with its seconds and rows.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        *,
        max_rows: int,
        max_queue: int,
        quick_rows: int = 0,
        delay_s: float = 0.0,
        observe: Callable[[float, int], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_rows, self._max_queue, self._delay_s = max_rows, max_queue, delay_s
        self._observe, self._runs = observe, runs
        self._quick_rows = quick_rows if delay_s == 0 else 0
        self._waiting: deque[Job] = deque()
        self._running: dict[int, list[Job]] = {}
        self._inboxes: list[SimpleQueue[list[Job] | None]] = [SimpleQueue() for _ in runs]
        self._idle = list(range(len(runs)))
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(number, run), name=f"instance-{number}", daemon=True)
            for number, run in enumerate(runs)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def busy_s(self) -> float:
        """For how long the instance that has been busy for the shortest time has been so; 0 when one is idle."""
        if self._idle:
            return 0.0
        return time.monotonic() - max(jobs[0].started_at for jobs in self._running.values())

    async def run(self, feed: Tensors, rows: int, timeout_s: float) -> tuple[Tensors, Job]:
        """Run one request's tensors, alone or with others.

        Args:
            feed: By name, batch axis first, in the model's own dtypes.
            rows: What the batch axis has.
            timeout_s: Seconds that waiting and inference may take together.

        Returns:
            The outputs of this request's rows, and what happened to it.

        Raises:
            RequestError: The queue is full (429), the time is over (504) or the runtime failed (500).
        """
        if rows <= self._quick_rows and self._idle and not self._waiting:
            return self._run_here(feed, rows, timeout_s)
        if len(self._waiting) >= self._max_queue:
            raise RequestError(429, f"{len(self._waiting)} requests wait already; try again later", retry_after_s=1)
        job = Job(feed, rows, self._loop.create_future(), time.monotonic(), timeout_s)
        self._waiting.append(job)
        self._dispatch()
        # One alarm for all of them: most deadlines are never met, and they come in the order of the requests.
        if self._alarm is None or self._alarm.when() > self._loop.time() + timeout_s:
            self._set_alarm(timeout_s)
        return await job.outputs, job

    def _run_here(self, feed: Tensors, rows: int, timeout_s: float) -> tuple[Tensors, Job]:
        """Run a request that is over before anybody could miss the event loop."""
        now = time.monotonic()
        job = Job(feed, rows, self._loop.create_future(), now, timeout_s, started_at=now, batch_rows=rows)
        began = time.perf_counter()
        try:
            outputs = self._runs[self._idle[-1]](feed)
        except Exception as error:
            raise _failed(error) from error
        finally:
            job.inference_s = time.perf_counter() - began
            self._observe(job.inference_s, rows)
        return outputs, job

    def close(self) -> None:
        """End the threads, each after what it is doing now."""
        for inbox in self._inboxes:
            inbox.put(None)

    def _set_alarm(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        """Tell those whose time is over, and come back when the next one's will be."""
        self._alarm = None
        now = time.monotonic()
        pending = [*self._waiting, *(job for jobs in self._running.values() for job in jobs)]
        left = []
        for job in pending:
            left_s = job.queued_at + job.timeout_s - now
            if job.outputs.done():
                continue
            if left_s > 0:
                left.append(left_s)
                continue
            where = "ran" if job.started_at else "waited"
            job.outputs.set_exception(RequestError(504, f"no answer within {job.timeout_s:g} s: the request {where}"))
        self._waiting = deque(job for job in self._waiting if not job.outputs.done())
        if left:
            self._set_alarm(max(min(left), 0.001))

    def _dispatch(self) -> None:
        while self._waiting and self._idle:
            left_s = self._waiting[0].queued_at + self._delay_s - time.monotonic()
            if left_s > 0 and sum(job.rows for job in self._waiting) < self._max_rows:
                if self._timer is None:
                    self._timer = self._loop.call_later(left_s, self._delayed)
                return
            jobs = self._take()
            if jobs:
                number = self._idle.pop()
                self._running[number] = jobs
                now = time.monotonic()
                rows = sum(job.rows for job in jobs)
                for job in jobs:
                    job.started_at, job.batch_rows = now, rows
                self._inboxes[number].put(jobs)

    def _delayed(self) -> None:
        self._timer = None
        self._dispatch()

    def _take(self) -> list[Job]:
        """The first that waits, and those behind it that fit into the same inference."""
        taken: list[Job] = []
        rows = 0
        while self._waiting:
            job = self._waiting[0]
            if job.outputs.done():  # its client was told something else meanwhile
                self._waiting.popleft()
                continue
            if taken and (rows + job.rows > self._max_rows or job.shape != taken[0].shape):
                break
            taken.append(self._waiting.popleft())
            rows += job.rows
        return taken

    def _work(self, number: int, run: Run) -> None:
        while (jobs := self._inboxes[number].get()) is not None:
            began = time.perf_counter()
            results: list[Tensors] | Exception
            try:
                results = _run(run, jobs)
            except Exception as error:  # whatever a runtime raises is this batch's answer, and the next one goes on
                results = error
            seconds = time.perf_counter() - began
            try:
                self._loop.call_soon_threadsafe(self._finished, number, jobs, results, seconds)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _finished(self, number: int, jobs: list[Job], results: list[Tensors] | Exception, seconds: float) -> None:
        del self._running[number]
        self._idle.append(number)
        self._observe(seconds, jobs[0].batch_rows)
        for place, job in enumerate(jobs):
            job.inference_s = seconds
            if job.outputs.done():
                continue
            if isinstance(results, Exception):
                failure = _failed(results)
                failure.__cause__ = results
                job.outputs.set_exception(failure)
            else:
                job.outputs.set_result(results[place])
        self._dispatch()


def _failed(error: Exception) -> RequestError:
    return RequestError(500, f"the runtime failed: {type(error).__name__}; the server's log says more")


def _run(run: Run, jobs: Sequence[Job]) -> list[Tensors]:
    if len(jobs) == 1:
        return [run(jobs[0].feed)]
    joined = {name: np.concatenate([job.feed[name] for job in jobs]) for name in jobs[0].feed}
    outputs = run(joined)
    ends = np.cumsum([job.rows for job in jobs])
    for name, array in outputs.items():
        if array.shape[:1] != (ends[-1],):
            raise ValueError(f"output {name!r} of a batch of {ends[-1]} has the shape {list(array.shape)}")
    parts = {name: np.split(array, ends[:-1]) for name, array in outputs.items()}
    return [{name: part[place] for name, part in parts.items()} for place in range(len(jobs))]
