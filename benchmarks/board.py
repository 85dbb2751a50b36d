"""Does a latency on the virtual board repeat from one start to the next, and is a slightly slower model told apart?

    PYTHONPATH=. .venv/bin/python benchmarks/board.py [--boots 5] [--out benchmarks/results]

Two float models that differ by one narrow layer, less than 2 % of the instructions, are measured in turn; each in as
many fresh boots. Nothing of it depends on how busy this machine is.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgepack.measurement import measure
from edgepack.protocol import Protocol
from edgepack.recipe import Bench

SPREAD = 0.005
BUILD = """
import sys
import tensorflow as tf
tf.keras.utils.set_random_seed(0)
wide, narrow, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
layers = [tf.keras.layers.Dense(wide, activation="relu") for _ in range(4)]
layers += [tf.keras.layers.Dense(narrow, activation="relu")] if narrow else []
model = tf.keras.Sequential([tf.keras.Input((wide,), batch_size=1), *layers, tf.keras.layers.Dense(10)])
open(out, "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""
WIDE, NARROW = 512, 64


def main() -> int:
    """Measure, print, write ``board.json``; 1 when a figure is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boots", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    p50_ms: dict[str, list[float]] = {"model": [], "slower": []}
    seconds: list[float] = []
    last: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, f"{name}.tflite") for name in p50_ms}
        for name, path in files.items():
            words = [str(WIDE), str(NARROW if name == "slower" else 0), str(path)]
            subprocess.run([sys.executable, "-c", BUILD, *words], check=True, capture_output=True)
        for _ in range(args.boots):
            for name, path in files.items():
                began = time.monotonic()
                last = measure(path, on="board", protocol=Protocol.of(Bench(), quick=False), say=print)
                seconds.append(time.monotonic() - began)
                (result,) = last["results"]
                p50_ms[name].append(result["latency_ms"]["p50"])
                print(f"{name}: {p50_ms[name][-1]:.6f} ms of the board's time, in {seconds[-1]:.0f} s", flush=True)
    spread = {name: max(values) / min(values) - 1 for name, values in p50_ms.items()}
    apart = min(p50_ms["slower"]) > max(p50_ms["model"])
    document = {
        "schema": "edgepack.benchmark/1",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "boots": args.boots,
        "protocol": last["protocol"],
        "environment": last["environment"],
        "p50_ms": p50_ms,
        "spread": spread,
        "slower_by": statistics.median(p50_ms["slower"]) / statistics.median(p50_ms["model"]) - 1,
        "told_apart_every_time": apart,
        "seconds_per_boot": statistics.median(seconds),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "board.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"spread over {args.boots} boots: {max(spread.values()):.3%} (wanted: at most {SPREAD:.1%})")
    print(f"slower by {document['slower_by']:.2%}, told apart every time: {apart}")
    return 0 if apart and max(spread.values()) <= SPREAD else 1


if __name__ == "__main__":
    sys.exit(main())
