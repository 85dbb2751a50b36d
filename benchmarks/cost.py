"""What does compressing with edgepack cost, next to the same work done by hand with TFMOT?

    python benchmarks/cost.py                      # the budget of examples/fashion_mnist; about 20 minutes
    python benchmarks/cost.py --epochs 1 1 --samples 6000 --rounds 4

Both start from the same float ResNet-8 and the same images, prune to 50 %, train quantised, and convert to int8. By
hand: `prune_low_magnitude`, `quantize_apply` with the scheme that keeps zeros, Keras' ``fit`` over a `tf.data`
pipeline with the example's augmentation. edgepack: the two compression steps of the recipe as the pipeline runs them,
a process each, with everything that they check, and the stage that makes and weighs the int8 file. What checks the
result afterwards is not counted.

The speed of a shared machine changes within minutes. So both sides run at the same time, one core each, and change
cores between rounds. Writes ``benchmarks/results/cost.json``: seconds and peak memory of each side and their ratio, by
round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plain_pipeline

from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "benchmarks" / "cost"
RESULTS = ROOT / "benchmarks" / "results" / "cost.json"
ENVIRONMENT = {**environment(), "PYTHONPATH": str(ROOT)}
IMAGES = Path("/usr/share/datasets/fashion-mnist")
BATCH, SPARSITY = 128, 0.5
BAR = 1.1


def main() -> None:
    """Take turns, then write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", nargs=2, type=int, default=(3, 2), metavar=("PRUNE", "QAT"))
    parser.add_argument("--samples", type=int, default=54000, help="training images")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--turn", choices=("hand", "data"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    if arguments.turn == "data":
        prepare(arguments.samples)
        return
    if arguments.turn == "hand":
        by_hand(*arguments.epochs)
        return
    words = ["--samples", str(arguments.samples), "--epochs", *map(str, arguments.epochs)]
    subprocess.run([sys.executable, __file__, "--turn", "data", *words], check=True, env=ENVIRONMENT, cwd=ROOT)
    argv = [sys.executable, __file__, "--turn", "hand", *words]
    rounds = []
    for hand, edgepack in in_rounds(
        arguments.rounds, lambda core: timed(argv, core), lambda core: compressed(*arguments.epochs, core=core)
    ):
        ratio = round(edgepack["seconds"] / hand["seconds"], 3)
        rounds.append({"by hand": hand, "edgepack": edgepack, "ratio": ratio})
        print(rounds[-1], flush=True)
    write(arguments, rounds)


def in_rounds(
    count: int, left: Callable[[int], Any], right: Callable[[int], Any]
) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
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


def timed(argv: list[str], core: int) -> dict[str, float]:
    """Run a command on one core; its seconds and its peak memory."""
    start = time.monotonic()
    process = subprocess.Popen(on(core, argv), env=ENVIRONMENT, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(argv)} ended with status {status}")
    return {"seconds": round(time.monotonic() - start, 1), "peak_mib": round(usage.ru_maxrss / 1024)}


def compressed(prune_epochs: int, qat_epochs: int, *, core: int) -> dict[str, float]:
    """The recipe's steps through `edgepack run`: the seconds of compression and conversion, the largest peak."""
    recipe, out = WORK / "cost.yaml", WORK / "run"
    steps = [
        {"use": "prune", "sparsity": SPARSITY, "epochs": prune_epochs, "learning_rate": 2e-3},
        {"use": "qat", "epochs": qat_epochs, "learning_rate": 2e-4},
    ]
    content = {
        "name": "cost",
        "data": {"npz": str(WORK / "images.npz"), "preprocessing": {"scale": 1 / 255}},
        "model": {"file": str(WORK / "float.h5")},
        "training": {"epochs": 0, "batch_size": BATCH, "augment": {"flip": True, "shift": 2}},
        "compress": steps,
        "export": [{"format": "tflite", "precision": "int8"}],
        "targets": ["linux-amd64-cpu"],
    }
    recipe.write_text(json.dumps(content))
    subprocess.run(["rm", "-rf", str(out)], check=True)
    argv = [sys.executable, "-m", "edgepack.cli.main", "run", str(recipe), "--out", str(out), "--to", "export"]
    subprocess.run(on(core, argv), check=True, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.DEVNULL)
    stages = json.loads((out / "cost" / "run.json").read_text())["stages"]
    # The int8 file is made where the last step is weighed; the export takes it from there.
    converted = [stage for stage in stages if stage["name"] == "footprint"][-1]
    counted = [*(stage for stage in stages if stage["name"] == "compress"), converted]
    return {
        "seconds": round(sum(stage["seconds"] for stage in counted), 1),
        "peak_mib": max(stage["peak_mib"] or 0 for stage in counted),
    }


def prepare(samples: int) -> None:
    """A float model with random weights (time does not depend on them) and the images, once for both sides."""
    import numpy as np
    import tf_keras

    from edgepack.data import idx
    from edgepack.keras_models.save import save
    from edgepack.zoo import resnet8

    raw = idx.load(idx.Config(idx=str(IMAGES)), ROOT)
    np.savez(WORK / "images.npz", x=raw.train.x[: samples + 6000], y=raw.train.y[: samples + 6000])
    tf_keras.utils.set_random_seed(0)
    save(resnet8.build(resnet8.Config(), input_shape=(28, 28, 1), classes=10), WORK / "float.h5")


def by_hand(prune_epochs: int, qat_epochs: int) -> None:
    """What a user writes today."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    with np.load(WORK / "images.npz") as images:
        x, y = images["x"].reshape(-1, 28, 28, 1), images["y"].astype("int64")
    held_out = len(x) * 15 // 100
    x, y, x_validation, y_validation = x[2 * held_out :], y[2 * held_out :], x[:held_out], y[:held_out]

    batches, validation = plain_pipeline.batches(x, y, x_validation, y_validation, BATCH)

    def fit(model: Any, rate: float, epochs: int, callbacks: list[Any]) -> None:
        model.compile(tf_keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(batches, validation_data=validation, epochs=epochs, verbose=0, callbacks=callbacks)

    model = tf_keras.models.load_model(WORK / "float.h5", compile=False)
    steps = prune_epochs * -(-len(x) // BATCH)
    schedule = tfmot.sparsity.keras.PolynomialDecay(0, SPARSITY, 0, steps * 6 // 10, frequency=max(1, steps // 80))
    pruned = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    fit(pruned, 2e-3, prune_epochs, [tfmot.sparsity.keras.UpdatePruningStep()])
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    quantised = tfmot.quantization.keras.quantize_apply(
        tfmot.quantization.keras.quantize_annotate_model(stripped),
        tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme(),
    )
    fit(quantised, 2e-4, qat_epochs, [])
    converter = tf.lite.TFLiteConverter.from_keras_model(quantised)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (WORK / "by-hand.tflite").write_bytes(converter.convert())


def write(arguments: argparse.Namespace, rounds: list[dict[str, Any]]) -> None:
    """The JSON, and the ratio on standard output."""
    from edgepack.environment import describe

    ratio = statistics.median(found["ratio"] for found in rounds)
    document = {
        "command": f"python benchmarks/cost.py --epochs {arguments.epochs[0]} {arguments.epochs[1]} "
        f"--samples {arguments.samples} --rounds {arguments.rounds}",
        "environment": describe(),
        "bar": BAR,
        "ratio": ratio,
        "rounds": rounds,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    print(f"edgepack takes {ratio:.2f}x the time of the work by hand (bar {BAR})")


if __name__ == "__main__":
    main()
