"""How much faster is one model than another on this machine?"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

Clock = Callable[[], int]
"""Monotonic time in nanoseconds."""


def to_tflite(model: Any) -> bytes:
    """Convert a float tf_keras model to TensorFlow Lite, float32, batch size 1."""
    import tensorflow as tf

    from edgepack.keras_models.serving import serving

    traced = serving(model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.concrete], traced.variables)
    return bytes(converter.convert())


def interleaved_ns(
    contents: Sequence[bytes],
    *,
    rounds: int = 15,
    round_s: float = 0.05,
    threads: int = 1,
    clock: Clock = time.perf_counter_ns,
) -> list[list[int]]:
    """Time several TensorFlow Lite models in turn, so that whatever else the machine does meets all of them.

    Args:
        contents: The models.
        rounds: Turns of each model; the first one more is warm-up and does not count.
        round_s: Time that a model gets in a turn, seconds; at least one inference.
        threads: Threads of the interpreter.
        clock: Monotonic clock.

    Returns:
        For each model the fastest inference of each turn, nanoseconds: what another process takes away only makes an
        inference slower.
    """
    runs = [_invocation(content, threads) for content in contents]
    samples: list[list[int]] = [[] for _ in runs]
    for turn in range(rounds + 1):
        for run, found in zip(runs, samples, strict=True):
            best, end = None, clock() + int(round_s * 1e9)
            while best is None or clock() < end:
                start = clock()
                run()
                taken = clock() - start
                best = taken if best is None else min(best, taken)
            if turn:
                found.append(best)
    return samples


def ratio(samples: Sequence[int], baseline: Sequence[int]) -> float:
    """Median over the turns of the time of one model divided by that of another in the same turn."""
    return float(median(one / other for one, other in zip(samples, baseline, strict=True)))


def _invocation(content: bytes, threads: int) -> Callable[[], None]:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        dtype = np.dtype(detail["dtype"])
        values = rng.integers(-128, 128, detail["shape"]) if dtype.kind in "iu" else rng.uniform(size=detail["shape"])
        interpreter.set_tensor(detail["index"], values.astype(dtype))
    return interpreter.invoke  # type: ignore[no-any-return] # ai_edge_litert has no type information
