"""How fast is this machine just now, whatever the model?

A baseline was measured on another day: the same processor may be clocked lower since, or share its host with others. A
fixed piece of work, timed in the same process as the model, tells that apart from a model that became slower.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

ABOUT = "8 products of 48 x 48 float32 matrices and one sum over 256 KiB, median of the bursts of 0.1 s"
LENGTH_S = 0.1


def reference_ms(*, length_s: float = LENGTH_S, clock_ns: Callable[[], int] = time.perf_counter_ns) -> float:
    """The median time of one burst of the fixed work, in milliseconds."""
    # Too small for more than one thread, in the cache of any processor of a machine that runs Python.
    left = np.linspace(0, 1, 48 * 48, dtype=np.float32).reshape(48, 48)
    product, long = np.empty_like(left), np.ones(65_536, np.float32)
    bursts_ns: list[int] = []
    end_ns = clock_ns() + int(length_s * 1e9)
    while not bursts_ns or clock_ns() < end_ns:
        start_ns = clock_ns()
        for _ in range(8):
            np.matmul(left, left, out=product)
        long.sum()
        bursts_ns.append(clock_ns() - start_ns)
    return statistics.median(bursts_ns) / 1e6
