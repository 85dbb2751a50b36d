"""How long does training wait for its data?"""

import time
from collections.abc import Callable
from typing import Any

EVERY = 8
"""One batch in so many is timed: asking Python for the time is not free next to the steps of a small network."""


def timed(batches: Any) -> tuple[Any, Callable[[], float]]:
    """A dataset with the same batches that notes how long they are waited for.

    `Dataset.zip` asks its parts one after the other in the thread that wants the batch: a clock before and a clock
    behind the batches see how long that thread stood still. Nothing may be prefetched behind them.

    Args:
        batches: `tf.data.Dataset`, prefetched.

    Returns:
        The dataset, and a function that gives the seconds since it was last called, extrapolated from every 8th batch.
    """
    import numpy as np
    import tensorflow as tf

    begun = total = 0.0

    def start() -> Any:
        nonlocal begun
        begun = time.perf_counter()
        return np.int64(0)

    def stop() -> Any:
        nonlocal total
        total += EVERY * (time.perf_counter() - begun)
        return np.int64(0)

    def clock(call: Callable[[], Any]) -> Any:
        # TensorFlow's own clock is refused where results must be deterministic.
        def tick(step: Any) -> Any:
            ticked = tf.cond(step % EVERY == 0, lambda: tf.numpy_function(call, [], tf.int64), lambda: step)
            return tf.ensure_shape(ticked, ())

        return tf.data.Dataset.range(np.iinfo(np.int64).max).map(tick)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    stamped = tf.data.Dataset.zip((clock(start), batches, clock(stop))).map(lambda _, batch, __: batch)

    def seconds() -> float:
        nonlocal total
        waited, total = total, 0.0
        return waited

    return stamped.with_options(options), seconds
