"""Which of two models is faster here, by how much, and is the difference more than chance?

Both run in processes of their own, which take turns: in one process, each would run with caches and memory that the
other left, and a runtime's waiting threads would take the processor from the other. Where a process's memory happens to
lie makes it some percent faster or slower for as long as it lives; so there are rounds, each with two fresh processes.

Turns are short, and a round's ratio is the median over pairs of neighbouring turns: whatever slows the machine down for
longer than a turn slows both of a pair down, and what hits one turn alone is an outlier. Turns go A B B A or B A A B,
drawn by lot, so that a machine which becomes slower all the time favours neither. The answer is the trimmed mean of the
logarithms of the rounds' ratios with Student's interval: it holds what differs within a process, between processes and
over the time that all of it takes. Rounds go on until that interval is narrow, wherever it lies: to stop where it first
excludes 1 would find a difference in whatever is compared, sooner or later.
"""

import math
import os
import socket
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import bundle, environment, noise, sessions
from .child import call
from .errors import RunnerError, UsageError
from .measure import feeds
from .sampling import sample
from .statistics import mean_interval

SCHEMA = "edgepack.comparison/1"
LEVEL = 0.99
"""With 95 %, one of twenty comparisons of a file with itself would find a difference."""
TRIM = 0.2
"""Rounds that are left out on each side: on a busy machine one of ten can be off by a third."""
REWARM_SHARE = 0.2
"""Part of a turn that goes ahead of it untimed: while the other ran, caches were emptied and clocks may have sunk."""

SLOWEST_S = 600.0
"""What the turns of a round may take after its time is up: four of them are taken in any case."""


@dataclass(frozen=True)
class Rounds:
    """How to compare.

    Attributes:
        rounds: Pairs of fresh processes, at least.
        max_rounds: At most; between the two it goes on until the interval is as narrow as `within`.
        within: Half of the width that the ratio's interval is to have: 0.04 for plus and minus 4 %.
        warmup_s: Seconds of running before the first turn.
        turn_s: Seconds of each turn, or one inference where that takes longer.
        turns: Turns of each process in a round at most; even.
        round_s: Seconds after which no more turns begin: a slow model has fewer.
        start_timeout_s: Seconds that import, load and first inference may take.
        quick: Whether this only shows that comparing works; the document says so.
    """

    rounds: int = 10
    max_rounds: int = 40
    within: float = 0.04
    warmup_s: float = 0.2
    turn_s: float = 0.01
    turns: int = 24
    round_s: float = 5.0
    start_timeout_s: float = 120.0
    quick: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError when a number is out of range."""
        if self.max_rounds < self.rounds or self.within <= 0:
            raise UsageError(f"{self}; expected max_rounds of at least rounds, and within above 0")
        if self.rounds < 2 or self.turns < 2 or self.turns % 2 or min(self.warmup_s, self.turn_s) < 0:
            raise UsageError(f"{self}; expected two rounds or more, an even number of turns, and no negative time")


def compare(a: bundle.Entry, b: bundle.Entry, rounds: Rounds) -> dict[str, Any]:
    """Measure two models in turns.

    Args:
        a: The one that ratios are relative to.
        b: The other one.
        rounds: How.

    Returns:
        The document of schema ``edgepack.comparison/1``; ``ratio`` is B's median over A's.

    Raises:
        RunnerError: One of them crashed, hung, or is not the file that its manifest tells of.
    """
    facts = environment.describe()
    for entry in (a, b):
        reason = bundle.altered(entry)
        if reason is not None:
            raise RunnerError(f"{reason}; a wrong model has no latency")
    lots = noise.uniform(rounds.max_rounds * rounds.turns // 2).reshape(rounds.max_rounds, -1) < 0.5
    done: list[dict[str, Any]] = []
    for row in lots:
        done.append(_round(a, b, rounds, ["abba" if lot else "baab" for lot in row]))
        if len(done) >= rounds.rounds and half_width([one["ratio"] for one in done]) <= rounds.within:
            break
    ratios = [one["ratio"] for one in done]
    ratio, low, high = interval(ratios)
    return {
        "schema": SCHEMA,
        "protocol": {
            **asdict(rounds),
            "clock": "wall",
            "timed": "the runtime's own call, from inputs in its buffers to outputs in its buffers",
            "ratio": f"mean over rounds, without a share of {TRIM} on each side, of the median over pairs of turns",
            "interval": f"{LEVEL:.0%}, Student's t over the logarithms of the rounds' ratios",
        },
        "environment": facts,
        "a": _side(a, [one["a"] for one in done]),
        "b": _side(b, [one["b"] for one in done]),
        "ratio": ratio,
        "interval": [low, high],
        "significant": not low <= 1 <= high,
        "rounds": [
            {
                "order": one["order"],
                "ratio": one["ratio"],
                "a_turns_ms": one["a"]["turns_ms"],
                "b_turns_ms": one["b"]["turns_ms"],
            }
            for one in done
        ],
        "flags": _flags(rounds, facts, half_width(ratios)),
    }


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The ratio that rounds have in common, and the ends of its interval."""
    mean, low, high = mean_interval([math.log(ratio) for ratio in ratios], level=LEVEL, trim=TRIM)
    return math.exp(mean), math.exp(low), math.exp(high)


def half_width(ratios: Sequence[float]) -> float:
    """Half of the interval's width, relative to the ratio."""
    ratio, low, high = interval(ratios)
    return (high - low) / (2 * ratio)


def work(job: Mapping[str, Any], import_ms: float) -> dict[str, Any]:
    """Be one side of a round, in a process of its own: time a turn for each byte on the socket, until it is closed.

    Args:
        job: An entry's job with ``rounds``, the fields of ``Rounds``, and ``socket``, the file descriptor.
        import_ms: What importing numpy and the runtime took.
    """
    rounds = Rounds(**job["rounds"])
    medians_ns: list[float] = []
    runs = 0
    with socket.socket(fileno=int(job["socket"])) as told, sessions.open_job(job) as session:
        fed = feeds(session.inputs, job["golden"], job["columns"])
        sample(session, fed, min_runs=1, min_time_s=rounds.warmup_s, max_time_s=rounds.warmup_s)
        told.sendall(b"r")
        while told.recv(1):
            for length_s in (REWARM_SHARE * rounds.turn_s, rounds.turn_s):
                taken = sample(session, fed, first=runs, min_runs=1, min_time_s=length_s, max_time_s=length_s)
            medians_ns.append(float(np.median(np.asarray(taken))))
            runs += len(taken)
            told.sendall(b"d")
        version = session.details["version"]
    return {"turns_ms": [median / 1e6 for median in medians_ns], "runs": runs, "runtime_version": version}


def _round(a: bundle.Entry, b: bundle.Entry, rounds: Rounds, order: Sequence[str]) -> dict[str, Any]:
    """One pair of fresh processes."""
    timeout_s = 2 * (rounds.start_timeout_s + rounds.warmup_s + rounds.round_s) + SLOWEST_S
    taken = ""
    with ThreadPoolExecutor(2) as pool:
        sides = {"a": _Side(a, rounds, pool, timeout_s)}
        try:
            sides["b"] = _Side(b, rounds, pool, timeout_s)
            # A side that ends early leaves its reason in `answer`; the other's turns are then of no use.
            there = all({name: side.hear() for name, side in sides.items()}.values())
            end_s = time.monotonic() + rounds.round_s
            for four in order:
                there = there and all(sides[turn].tell() and sides[turn].hear() for turn in four)
                taken += four
                if not there or time.monotonic() > end_s:
                    break
        finally:
            for side in sides.values():
                side.release()
        answers = {name: side.answer.result() for name, side in sides.items()}
    pairs = zip(answers["a"]["turns_ms"], answers["b"]["turns_ms"], strict=True)
    return {"order": taken.upper(), "ratio": statistics.median(one_b / one_a for one_a, one_b in pairs), **answers}


class _Side:
    """One process of a round, and the socket over which it is told to take its turns."""

    def __init__(self, entry: bundle.Entry, rounds: Rounds, pool: ThreadPoolExecutor, timeout_s: float) -> None:
        self._ours, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        job = {**entry.job(), "rounds": asdict(rounds), "socket": theirs.fileno()}

        def run() -> dict[str, Any]:
            with theirs:  # once the process is gone nobody holds its end, and `hear` comes to an end
                try:
                    return call("compare", job, timeout_s=timeout_s, pass_fds=(theirs.fileno(),))
                except RunnerError as error:
                    raise RunnerError(f"{entry.name} with {entry.runtime}: {error}") from error

        self.answer: Future[dict[str, Any]] = pool.submit(run)

    def tell(self) -> bool:
        """Let it take a turn; false when it is gone."""
        try:
            self._ours.sendall(b"g")
        except OSError:
            return False
        return True

    def hear(self) -> bool:
        """Wait until it is ready or done; false when it is gone."""
        try:
            return bool(self._ours.recv(1))
        except OSError:
            return False

    def release(self) -> None:
        """Let it end."""
        self._ours.close()


def _side(entry: bundle.Entry, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "artifact": entry.name,
        "sha256": bundle.sha256(entry.path),
        "runtime": entry.runtime,
        "runtime_version": answers[0]["runtime_version"],
        "threads": entry.threads,
        "input": noise.DESCRIPTION if entry.golden is None else "golden samples of the bundle, cycled",
        "p50_ms": statistics.median(turn for answer in answers for turn in answer["turns_ms"]),
        "runs": sum(answer["runs"] for answer in answers),
    }


def _flags(rounds: Rounds, facts: Mapping[str, Any], reached: float) -> list[dict[str, str]]:
    found = []
    if reached > rounds.within and not rounds.quick:
        text = f"The interval is {reached:.0%} to either side; a quieter machine or more rounds would narrow it."
        found.append({"kind": "wide", "text": text})
    if rounds.quick:
        found.append({"kind": "quick", "text": "Compared quickly, to show that comparing works."})
    if facts["emulated"]:
        found.append({"kind": "emulated", "text": "Instructions are emulated here: these times mean nothing."})
    return found
