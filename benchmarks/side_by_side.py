"""How are two ways compared on a machine whose speed changes within minutes?

At the same time, one core each, and with the cores changed between rounds.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def rounds(count: int, left: Callable[[int], Any], right: Callable[[int], Any]) -> Iterator[tuple[Any, Any]]:
    """What both give in each round; each is called with the number of its core.

    Raises:
        SystemExit: There are no two cores.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit(f"two cores are needed, one for each side; there is {len(cores)}")
    for number in range(count):
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(side, cores[(number + place) % 2]) for place, side in enumerate((left, right))]
            first, second = (future.result() for future in futures)
        yield first, second


def on(core: int, argv: list[str]) -> list[str]:
    """A command that stays on one core, with all that it starts."""
    return ["taskset", "--cpu-list", str(core), *argv]
