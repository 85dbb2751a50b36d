"""How many processors may this process use, and how do instances and threads share them?"""

import os
from pathlib import Path

MOST_INSTANCES = 4
"""Each instance holds the weights once more: beyond this it is the user's choice."""


def available(root: Path = Path("/")) -> float:
    """Processors that this process may use: those that it may run on, or what its control group is given of them.

    Args:
        root: Where ``sys`` is; another folder in tests.
    """
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(float(may), _quota(root / "sys/fs/cgroup"))


def _quota(folder: Path) -> float:
    """What ``docker run --cpus`` and Kubernetes' limits set, for version 2 and version 1 of control groups."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if quota not in ("max", "-1"):
                return max(int(quota) / int(period), 0.1)
        except (OSError, ValueError):
            continue
    return float("inf")


def split(processors: float, *, recorded: int, threads: int | None, instances: int | None) -> tuple[int, int]:
    """Threads of one inference, and instances.

    What is not given is chosen so that inference leaves one processor to the server where there is more than one, and
    so that no thread waits for another one's processor.

    Args:
        processors: How many there are.
        recorded: The manifest's threads, with which the bundle was measured.
        threads: What the user says.
        instances: What the user says.
    """
    there = max(1, int(processors))
    chosen = threads if threads is not None else min(recorded, there)
    return chosen, instances if instances is not None else min(MOST_INSTANCES, max(1, (there - 1) // chosen))
