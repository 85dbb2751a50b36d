import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.runner.sampling import PATIENCE, WINDOWS, Protocol, Sampled, steady


class Steps:
    """A model whose inferences take as long as it is told, on a clock of its own."""

    def __init__(self, durations_ms: Iterator[float]) -> None:
        self.now_ns, self._durations_ms = 0, durations_ms
        self.fed: list[Any] = []

    def set_inputs(self, feed: Any) -> None:
        self.fed.append(feed)

    def invoke(self) -> None:
        self.now_ns += int(next(self._durations_ms) * 1e6)


def sampled(durations_ms: Iterator[float], **limits: Any) -> tuple[Sampled, Steps]:
    model = Steps(durations_ms)
    feeds: list[Any] = [{"x": number} for number in range(3)]
    return steady(model, feeds, Protocol(**limits), clock_ns=lambda: model.now_ns), model  # type: ignore[arg-type]


def test_a_steady_model_is_timed_for_as_long_as_was_asked() -> None:
    found, model = sampled(itertools.repeat(10.0))
    assert (found.stable, len(found.windows), found.counted) == (True, WINDOWS, WINDOWS)
    assert found.elapsed_s == pytest.approx(10)
    assert len(found.samples_ns) == 1000
    assert [feed["x"] for feed in model.fed[:7]] == [0, 1, 2, 0, 1, 2, 0]
    assert [feed["x"] for feed in model.fed] == [number % 3 for number in range(1000)]  # on, from window to window


def test_what_comes_before_the_latency_settles_is_warm_up() -> None:
    slow = itertools.chain(itertools.repeat(20.0, 200), itertools.repeat(10.0))
    found, _ = sampled(slow)
    assert found.stable is True
    assert (len(found.windows), found.counted) == (7, 5)
    assert set(found.samples_ns.tolist()) == {10_000_000}
    assert found.elapsed_s == pytest.approx(10)


def test_a_latency_that_never_settles_counts_whole_and_is_said() -> None:
    waves = itertools.cycle([*itertools.repeat(10.0, 200), *itertools.repeat(12.0, 170)])
    found, _ = sampled(waves)
    assert found.stable is False
    assert found.counted == len(found.windows)
    assert found.elapsed_s == pytest.approx(PATIENCE * 10, abs=2.1)
    assert found.spread == pytest.approx(0.2)


def test_quick_ones_are_not_asked_to_be_stable() -> None:
    found, _ = sampled(itertools.cycle([1.0, 9.0]), quick=True, min_time_s=0.1, min_runs=10)
    assert (found.stable, found.counted) == (None, WINDOWS)
    assert found.elapsed_s < 0.2


def test_a_slow_model_gets_its_runs_before_anything_else() -> None:
    found, _ = sampled(itertools.repeat(1000.0))
    assert len(found.samples_ns) == 50
    assert found.elapsed_s == pytest.approx(50)
    slower, _ = sampled(itertools.repeat(10_000.0))
    assert (len(slower.samples_ns), slower.elapsed_s, slower.stable) == (6, 60, False)


@given(st.integers(1, 300), st.sampled_from([0.0, 0.05, 1.0]), st.floats(0.5, 5), st.booleans())
def test_there_are_never_fewer_runs_or_less_time_than_asked_for(
    runs: int, time_s: float, duration_ms: float, quick: bool
) -> None:
    found, _ = sampled(itertools.repeat(duration_ms), min_runs=runs, min_time_s=time_s, max_time_s=9, quick=quick)
    assert len(found.samples_ns) >= runs
    assert found.elapsed_s >= time_s - 1e-6
    if time_s == 0:
        assert len(found.samples_ns) == runs


@given(st.integers(1, 400), st.integers(1, 12))
def test_processes_share_runs_and_time(runs: int, processes: int) -> None:
    whole = Protocol(min_runs=runs, min_time_s=3, max_time_s=9, processes=processes)
    share = whole.share()
    assert share.min_runs * processes >= runs
    assert share.min_time_s * processes == pytest.approx(3)
    assert share.processes == 1
