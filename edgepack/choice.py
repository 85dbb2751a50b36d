"""Which artifact in which runtime is to be shipped to a target, and what came close?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EQUALLY_FAST = 1.05
"""Medians within 5 % of the fastest count as equally fast: runs on a shared machine differ by as much."""


@dataclass(frozen=True)
class Candidate:
    """An artifact in a runtime that holds all gates.

    Attributes:
        artifact: Its file.
        runtime: The runtime.
        size: Bytes, or any other measure of the file's size; None = unknown, which loses against known.
        p50_ms: Median latency that counts; None = there is none.
    """

    artifact: str
    runtime: str
    size: float | None
    p50_ms: float | None


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The best first: the fastest, and among those that are equally fast the smallest; then the others by their times.

    Without times that count the smallest is first.
    """

    def by_size(candidate: Candidate) -> tuple[float, float, str]:
        size = float("inf") if candidate.size is None else candidate.size
        return size, candidate.p50_ms or 0.0, candidate.artifact

    timed = sorted((item for item in candidates if item.p50_ms is not None), key=lambda item: item.p50_ms or 0.0)
    others = sorted((item for item in candidates if item.p50_ms is None), key=by_size)
    close = equally_fast(timed)
    return [*sorted(close, key=by_size), *timed[len(close) :], *others]


def equally_fast(timed: Sequence[Candidate]) -> list[Candidate]:
    """Those of some candidates with times, the fastest first, that are as fast as the first."""
    return [item for item in timed if (item.p50_ms or 0.0) <= EQUALLY_FAST * (timed[0].p50_ms or 0.0)]


def of_bundle(verification: Mapping[str, Any], latency: Mapping[str, Any]) -> dict[str, Any] | None:
    """The choice among a target's artifacts, with those that came next.

    Times of the container decide where there are any, since it is what ships, else those of the host; emulated ones
    decide nothing.

    Args:
        verification: ``verify.json`` of the bundle.
        latency: ``latency.json`` of the bundle.

    Returns:
        ``artifact``, ``runtime``, ``where``, ``p50_ms``, and ``runners_up`` with the same; None when nothing passed.
    """
    missed = {
        gate["artifact"] for part in (verification, latency) for gate in part["gates"] if gate["status"] == "failed"
    }
    where = next((place for place in ("container", "host") if latency.get(place)), None)
    measured = latency[where] if where else {"results": (), "environment": {}}
    counts = not measured["environment"].get("emulated")
    times = {
        (result["artifact"], result["runtime"]): result["latency_ms"]["p50"]
        for result in measured["results"]
        if result["status"] == "ok" and counts
    }
    candidates = [
        Candidate(
            record["file"], record["runtime"], record["size_bytes"], times.get((record["file"], record["runtime"]))
        )
        for record in verification["artifacts"]
        if record["status"] == "ok" and not missed & {record["file"], f"{record['file']}@{record['runtime']}"}
    ]
    if not candidates:
        return None

    def entry(candidate: Candidate) -> dict[str, Any]:
        timed = candidate.p50_ms is not None
        return {
            "artifact": candidate.artifact,
            "runtime": candidate.runtime,
            "where": where if timed else None,
            "p50_ms": candidate.p50_ms,
        }

    first, *others = ranked(candidates)
    return {**entry(first), "runners_up": [entry(other) for other in others]}
