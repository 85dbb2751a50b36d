"""What do oneDNN's kernels make of the time of a training step?

    python benchmarks/onednn.py                    # alone on the machine; about 4 minutes

TensorFlow has them in its x86 packages and uses them by default only on processors with certain instructions. Networks
of the zoo are fitted to random images, in processes with and without oneDNN that take turns. Writes
``benchmarks/results/onednn.json``: milliseconds of wall clock and processor per step, and the ratio of their medians.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgepack.tf_environment import ONEDNN, environment

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "onednn.json"
NETWORKS: dict[str, dict[str, Any]] = {
    "resnet8": {"input_shape": (32, 32, 3)},
    "ds_cnn": {"input_shape": (49, 10, 1)},
    "mobilenet_v2": {"input_shape": (96, 96, 3), "width": 0.35},
}
BATCH, STEPS, WARM_UP = 64, 40, 10


def main() -> None:
    """Take turns, then write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turn", choices=NETWORKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.turn:
        print(json.dumps(steps(arguments.turn)))
        return
    turns: dict[str, dict[str, list[dict[str, float]]]] = {name: {"without": [], "with": []} for name in NETWORKS}
    for _ in range(arguments.rounds):
        for name, found in turns.items():
            for side, setting in (("without", "0"), ("with", "1")):
                found[side].append(turn(name, setting))
            print(name, {side: entries[-1] for side, entries in found.items()}, flush=True)
    write(arguments.rounds, turns)


def turn(name: str, setting: str) -> dict[str, float]:
    """One network's steps in a process with one setting."""
    done = subprocess.run(
        [sys.executable, __file__, "--turn", name],
        env={**environment(), ONEDNN: setting, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def steps(name: str) -> dict[str, float]:
    """Median wall clock and processor time of a step, in ms."""
    import tensorflow as tf
    import tf_keras

    from edgepack import extensions

    tf_keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    module = extensions.load("edgepack.zoo", name)
    options = dict(NETWORKS[name])
    shape = options.pop("input_shape")
    model = module.build(module.Config(**options), input_shape=shape, classes=10)
    x = tf.random.uniform((BATCH, *shape))
    y = tf.random.uniform((BATCH,), 0, 10, tf.int64)
    model.compile(tf_keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    ends: list[tuple[float, float]] = []

    class Clock(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        """Notes when a step ended."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            ends.append((time.monotonic(), used.ru_utime + used.ru_stime))

    data = tf.data.Dataset.from_tensors((x, y)).repeat()
    model.fit(data, steps_per_epoch=STEPS, verbose=0, callbacks=[Clock()])
    differences = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(ends[WARM_UP:], ends[WARM_UP + 1 :], strict=False)]
    wall, processor = (statistics.median(column) * 1e3 for column in zip(*differences, strict=True))
    return {"wall_ms": round(wall, 2), "processor_ms": round(processor, 2)}


def write(rounds: int, turns: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    """The JSON, and a line a network on standard output."""
    from edgepack.environment import describe

    def ratio(name: str, key: str) -> float:
        before, after = (statistics.median(entry[key] for entry in turns[name][side]) for side in ("without", "with"))
        return round(before / after, 3)

    speed_up = {name: {key: ratio(name, key) for key in ("wall_ms", "processor_ms")} for name in turns}
    document = {
        "command": f"python benchmarks/onednn.py --rounds {rounds}",
        "environment": describe(),
        "batch": BATCH,
        "speed_up": speed_up,
        "turns": turns,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    for name, found in speed_up.items():
        print(f"{name}: {found['wall_ms']}x as fast, {found['processor_ms']}x by processor time")


if __name__ == "__main__":
    main()
