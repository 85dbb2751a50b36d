"""Do requests share inferences, wait within bounds, and get their own rows back?"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgepack.serving.batching import Batcher, Job
from edgepack.serving.errors import RequestError

Feed = Mapping[str, NDArray[Any]]
LONG_S = 20.0


def rows(*values: float, width: int = 2) -> dict[str, NDArray[Any]]:
    return {"x": np.repeat(np.array(values, np.float32)[:, None], width, axis=1)}


class Gate:
    """A runtime that waits until it may go on, and remembers what it was given."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[float]] = []

    def __call__(self, feed: Feed) -> Feed:
        self.batches.append(feed["x"][:, 0].tolist())
        self.entered.release()
        assert self.open.wait(LONG_S)
        return {"y": feed["x"] * np.float32(10)}


def with_batcher(runs: list[Any], use: Callable[[Batcher], Awaitable[None]], **changed: Any) -> list[tuple[float, int]]:
    observed: list[tuple[float, int]] = []
    arguments: dict[str, Any] = {"max_rows": 4, "max_queue": 8, "observe": lambda *seen: observed.append(seen)}

    async def main() -> None:
        batcher = Batcher(runs, **{**arguments, **changed})
        try:
            await asyncio.wait_for(use(batcher), LONG_S)
        finally:
            batcher.close()

    asyncio.run(main())
    return observed


def test_what_waits_is_run_together_and_each_gets_its_own_rows() -> None:
    gate = Gate()

    async def use(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(batcher.run(rows(1.0), 1, LONG_S))]
        await asyncio.to_thread(gate.entered.acquire)
        tasks += [asyncio.create_task(batcher.run(rows(*sent), len(sent), LONG_S)) for sent in ((2, 3), (4,), (5, 6))]
        await asyncio.sleep(0)
        assert batcher.depth == 3
        gate.open.set()
        found = await asyncio.gather(*tasks)
        assert [outputs["y"][:, 0].tolist() for outputs, _ in found] == [[10], [20, 30], [40], [50, 60]]
        assert [job.batch_rows for _, job in found] == [1, 3, 3, 2]
        assert all(isinstance(job, Job) and job.started_at >= job.queued_at for _, job in found)

    observed = with_batcher([gate], use)
    assert gate.batches == [[1], [2, 3, 4], [5, 6]]
    assert [batch for _, batch in observed] == [1, 3, 2]


def test_rows_of_other_shapes_do_not_mix() -> None:
    gate = Gate()

    async def use(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(batcher.run(rows(1.0), 1, LONG_S))]
        await asyncio.to_thread(gate.entered.acquire)
        tasks += [asyncio.create_task(batcher.run(rows(n, width=w), 1, LONG_S)) for n, w in ((2, 2), (3, 5), (4, 5))]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*tasks)

    with_batcher([gate], use)
    assert gate.batches == [[1], [2], [3, 4]]


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    gate = Gate()

    async def use(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(batcher.run(rows(1.0), 1, LONG_S))]
        await asyncio.to_thread(gate.entered.acquire)
        tasks += [asyncio.create_task(batcher.run(rows(2.0), 1, LONG_S)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="2 requests wait already") as caught:
            await batcher.run(rows(3.0), 1, LONG_S)
        assert (caught.value.status, caught.value.retry_after_s) == (429, 1)
        gate.open.set()
        await asyncio.gather(*tasks)

    with_batcher([gate], use, max_queue=2)


def test_who_waits_too_long_is_told_and_not_run_and_the_next_one_is() -> None:
    gate = Gate()

    async def use(batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.run(rows(1.0), 1, LONG_S))
        await asyncio.to_thread(gate.entered.acquire)
        with pytest.raises(RequestError, match="the request waited") as caught:
            await batcher.run(rows(2.0), 1, 0.02)
        assert caught.value.status == 504 and batcher.depth == 0
        assert batcher.busy_s > 0.01
        third = asyncio.create_task(batcher.run(rows(3.0), 1, LONG_S))
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, third)
        assert batcher.busy_s == 0

    with_batcher([gate], use)
    assert gate.batches == [[1], [3]]


def test_an_inference_that_takes_too_long_ends_its_request_alone() -> None:
    gate = Gate()

    async def use(batcher: Batcher) -> None:
        with pytest.raises(RequestError, match="the request ran"):
            await batcher.run(rows(1.0), 1, 0.02)
        gate.open.set()
        outputs, _ = await batcher.run(rows(2.0), 1, LONG_S)
        assert outputs["y"].tolist() == [[20, 20]]

    with_batcher([gate], use)


def test_a_runtime_that_fails_is_the_servers_error_and_the_next_request_is_answered() -> None:
    def run(feed: Feed) -> Feed:
        if feed["x"][0, 0] < 0:
            raise RuntimeError("secret values")
        return {"y": feed["x"]}

    async def use(batcher: Batcher) -> None:
        with pytest.raises(RequestError, match="the runtime failed: RuntimeError") as caught:
            await batcher.run(rows(-1.0), 1, LONG_S)
        assert caught.value.status == 500 and "secret" not in caught.value.message
        assert isinstance(caught.value.__cause__, RuntimeError)
        outputs, _ = await batcher.run(rows(1.0), 1, LONG_S)
        assert outputs["y"].tolist() == [[1, 1]]

    with_batcher([run], use)


def test_what_is_quick_is_run_at_once_and_what_is_not_in_its_thread() -> None:
    threads: list[bool] = []

    def run(feed: Feed) -> Feed:
        threads.append(threading.current_thread() is threading.main_thread())
        if feed["x"][0, 0] < 0:
            raise RuntimeError
        return {"y": feed["x"] * np.float32(10)}

    async def use(batcher: Batcher) -> None:
        outputs, job = await batcher.run(rows(1.0, 2.0), 2, LONG_S)
        assert outputs["y"][:, 0].tolist() == [10, 20]
        assert (job.batch_rows, job.started_at) == (2, job.queued_at) and job.inference_s > 0
        with pytest.raises(RequestError, match="the runtime failed: RuntimeError"):
            await batcher.run(rows(-1.0), 1, LONG_S)
        outputs, _ = await batcher.run(rows(1.0, 2.0, 3.0), 3, LONG_S)
        assert outputs["y"][:, 0].tolist() == [10, 20, 30]

    observed = with_batcher([run], use, quick_rows=2)
    assert threads == [True, True, False]
    assert [batch for _, batch in observed] == [2, 1, 3]


def test_what_is_quick_waits_its_turn_while_the_instance_is_busy() -> None:
    gate = Gate()

    async def use(batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.run(rows(1.0, 1.0), 2, LONG_S))
        await asyncio.to_thread(gate.entered.acquire)
        second = asyncio.create_task(batcher.run(rows(2.0), 1, LONG_S))
        await asyncio.sleep(0)
        assert batcher.depth == 1
        gate.open.set()
        await asyncio.gather(first, second)

    with_batcher([gate], use, quick_rows=1)
    assert gate.batches == [[1, 1], [2]]


def test_instances_run_at_the_same_time() -> None:
    gates = [Gate(), Gate()]

    async def use(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(batcher.run(rows(n), 1, LONG_S)) for n in (1.0, 2.0)]
        for gate in gates:
            await asyncio.to_thread(gate.entered.acquire)
        for gate in gates:
            gate.open.set()
        await asyncio.gather(*tasks)

    with_batcher(gates, use)
    assert sorted(batch for gate in gates for batch in gate.batches) == [[1], [2]]


def test_a_free_instance_waits_for_company_only_when_told_to() -> None:
    def run(feed: Feed) -> Feed:
        return {"y": feed["x"]}

    async def use(batcher: Batcher) -> None:
        began = time.monotonic()
        first = asyncio.create_task(batcher.run(rows(1.0), 1, LONG_S))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(batcher.run(rows(2.0), 1, LONG_S))
        found = await asyncio.gather(first, second)
        assert [job.batch_rows for _, job in found] == [2, 2]
        assert time.monotonic() - began >= 0.2
        full = [batcher.run(rows(n), 1, LONG_S) for n in (1.0, 2.0, 3.0, 4.0)]
        began = time.monotonic()
        await asyncio.gather(*full)
        assert time.monotonic() - began < 0.2

    with_batcher([run], use, delay_s=0.2)
