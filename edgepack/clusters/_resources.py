"""How much processor and memory does one replica need, and who says so?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SERVER_MIB = 64
"""What the server, its connections and its queue take beside the runtime and the model."""

HEADROOM = 2.0
"""The limit over the need: peaks under load end a replica when they meet the limit."""

UNMEASURED_MIB, UNMEASURED_GPU_MIB = 1024, 4096
"""Limits where nothing was measured: LiteRT and ONNX Runtime keep well below, CUDA's libraries take gigabytes."""

STEP_MIB = 16


@dataclass(frozen=True)
class Resources:
    """Processor and memory of one replica.

    Attributes:
        cpus: Cores that are reserved: the threads of one inference.
        cpu_limit: Cores that may be used: one more, for the server around it.
        memory_mib: Memory that is reserved, MiB.
        memory_limit_mib: Memory at which a replica is ended, MiB.
        basis: Where the memory figures come from, a sentence.
    """

    cpus: int
    cpu_limit: int
    memory_mib: int
    memory_limit_mib: int
    basis: str


def of_bundle(
    threads: int,
    latency: Mapping[str, Any] | None,
    *,
    choice: Mapping[str, Any] | None = None,
    gpu: bool,
    memory_mib: int | None = None,
) -> Resources:
    """Work out what a replica gets.

    Args:
        threads: Threads of one inference.
        latency: ``latency.json`` of the bundle, or None.
        choice: The manifest's choice of what is served, with ``artifact`` and ``runtime``; None = whichever needs most.
        gpu: Whether the replica computes on a GPU.
        memory_mib: The limit that the user states, MiB; None = from what was measured.
    """
    if memory_mib is not None:
        need, limit, basis = memory_mib, memory_mib, f"Memory: {memory_mib} MiB, as stated on the command line."
    elif (measured := _peak(latency or {}, choice)) is not None:
        peak, where = measured
        need, limit = _round_up(peak + SERVER_MIB), _round_up(HEADROOM * (peak + SERVER_MIB))
        basis = (
            f"Memory: peak of {peak:.1f} MiB, measured {where}, and {SERVER_MIB} MiB for the server; "
            f"the limit is {HEADROOM:g} times that."
        )
    else:
        limit = UNMEASURED_GPU_MIB if gpu else UNMEASURED_MIB
        need = limit // 2
        basis = (
            f"Memory: nothing was measured for this target, so {limit} MiB is a default; measure under load and state "
            "--memory-mib."
        )
    return Resources(threads, threads + 1, need, limit, basis)


def _peak(latency: Mapping[str, Any], choice: Mapping[str, Any] | None) -> tuple[float, str] | None:
    """The peak of what is served, MiB, and where it was measured; emulated figures are the emulator's."""
    for key, where in (("container", "in the container"), ("host", "on the host")):
        measured = latency.get(key) or {}
        if not measured or measured["environment"].get("emulated"):
            continue
        peaks = {
            (result["artifact"], result["runtime"]): result["peak_rss_mib"]
            for result in measured["results"]
            if result["status"] == "ok" and result["peak_rss_mib"] is not None
        }
        served = peaks.get((choice["artifact"], choice["runtime"])) if choice else max(peaks.values(), default=None)
        if served is not None:
            return served, where
    return None


def _round_up(mib: float) -> int:
    return STEP_MIB * math.ceil(mib / STEP_MIB)
