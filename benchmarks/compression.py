"""What does each compression technique cost in accuracy, and what does it pay in bytes and in time?

    python benchmarks/compression.py               # page and picture from `benchmarks/results/compression.json`
    python benchmarks/compression.py --run         # measure what is missing first: about two hours on two cores

The model is that of ``examples/fashion_mnist``, trained in float once per seed; each technique goes on from it with the
same budget of epochs. "TFMOT QAT" is ``quantize_model`` of TFMOT as it comes with the same data, schedule and epochs.
Accuracy is that of the ``.tflite`` file on the 10,000 test images. Latency is measured last, all files in turn, one
thread. Results: ``benchmarks/results/compression.json``, ``docs/compression.md``, ``docs/images/compression.png``.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "fashion_mnist" / "recipe.yaml"
WORK = ROOT / "out" / "benchmarks" / "compression"
RESULTS = ROOT / "benchmarks" / "results" / "compression.json"
COST = ROOT / "benchmarks" / "results" / "cost.json"
PICTURE = ROOT / "docs" / "images" / "compression.png"
PAGE = ROOT / "docs" / "compression.md"
ENVIRONMENT = {**environment(), "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
ROUNDS, RUNS = 15, 60

PRUNE: dict[str, Any] = {"use": "prune", "sparsity": 0.6, "epochs": 4, "learning_rate": 3e-3}
CLUSTER: dict[str, Any] = {"use": "cluster", "clusters": 16, "epochs": 1, "learning_rate": 5e-4}
QAT: dict[str, Any] = {"use": "qat", "epochs": 2, "learning_rate": 2e-4}
CHANNELS: dict[str, Any] = {"use": "prune_channels", "goal": {"macs": 0.5}, "epochs": 16, "learning_rate": 5e-3}

VARIANTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "float32": ("float32", []),
    "float16": ("float16", [{"use": "float16"}]),
    "dynamic range": ("dynamic_range", [{"use": "dynamic_range"}]),
    "int8 after training": ("int8", [{"use": "int8"}]),
    "int16x8": ("int16x8", [{"use": "int16x8"}]),
    "QAT": ("int8", [QAT]),
    "QAT, BatchNormalization frozen": ("int8", [{**QAT, "batch_normalization": "freeze"}]),
    "QAT, BatchNormalization trained": ("int8", [{**QAT, "batch_normalization": "train"}]),
    "TFMOT QAT": ("int8", []),
    "PQAT": ("int8", [PRUNE, QAT]),
    "CQAT": ("int8", [CLUSTER, QAT]),
    "PCQAT": ("int8", [PRUNE, CLUSTER, QAT]),
    "pruned": ("float32", [PRUNE]),
    "2:4": ("float32", [{"use": "prune", "pattern": [2, 4], "epochs": 4, "learning_rate": 3e-3}]),
    "clustered": ("float32", [CLUSTER]),
    "half the MACs": ("float32", [CHANNELS]),
    "half the MACs, QAT": ("int8", [CHANNELS, QAT]),
    "wider": ("float32", []),
    "wider, half the MACs": ("float32", [CHANNELS]),
    "QAT with teacher": ("int8", [{**QAT, "distill": {}}]),
}
"""Name: precision of the file that counts, and the recipe's steps."""

WIDE = 24
"""Width of the wider model; that of the example is 16."""

SEEDED = ("float32", "QAT", "TFMOT QAT")
"""Measured for every seed; the others for seed 0."""


def main() -> None:
    """Measure if asked to, then draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure what is missing")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--tfmot", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.tfmot:
        tfmot_qat(Path(arguments.tfmot[0]), Path(arguments.tfmot[1]))
        return
    if arguments.run:
        for seed in arguments.seeds:
            trained = float_model(seed)
            for name in arguments.variants:
                if name in SEEDED or seed == 0:
                    measure(name, seed, wide_model(seed) if name.startswith("wider") else trained)
        write_results()
    document = json.loads(RESULTS.read_text())
    draw(by_name(document["results"]))
    PAGE.write_text(page(by_name(document["results"])))


def float_model(seed: int) -> Path:
    """Train the example's model in float, once."""
    kept = WORK / f"float-{seed}.h5"
    if not kept.exists():
        out = WORK / f"train-{seed}"
        edgepack(EXAMPLE, out, "--to", "train", "--set", f"seed={seed}")
        (made,) = out.glob("fashion_mnist/cache/train-*/model.h5")
        shutil.copy(made, kept)
    return kept


def wide_model(seed: int) -> Path:
    """Train a wider model in float, once."""
    kept = WORK / f"wide-{seed}.h5"
    if not kept.exists():
        out = WORK / f"wide-train-{seed}"
        edgepack(EXAMPLE, out, "--to", "train", "--set", f"seed={seed}", "--set", f"model.args.width={WIDE}")
        (made,) = out.glob("fashion_mnist/cache/train-*/model.h5")
        shutil.copy(made, kept)
    return kept


def edgepack(recipe: Path, out: Path, *options: str) -> None:
    """Run the command line."""
    argv = [sys.executable, "-m", "edgepack.cli.main", "run", str(recipe), "--out", str(out), *options]
    subprocess.run(argv, check=True, env=ENVIRONMENT, cwd=ROOT)


def measure(name: str, seed: int, trained: Path) -> None:
    """Run one technique from one float model; keeps the file and its figures."""
    kept = WORK / "files" / f"{name.replace(' ', '_').replace(':', '-')}-{seed}"
    if (kept / "result.json").exists():
        return
    precision, steps = VARIANTS[name]
    kept.mkdir(parents=True, exist_ok=True)
    out, recipe = WORK / f"runs-{seed}", recipe_path(seed)
    recipe.write_text(json.dumps(recipe_of(trained, seed, precision, steps)))
    start = time.monotonic()
    if name == "TFMOT QAT":
        edgepack(recipe, out, "--to", "data")
        argv = [sys.executable, __file__, "--tfmot", str(trained), str(kept)]
        subprocess.run(argv, check=True, env=ENVIRONMENT, cwd=ROOT)
        result = json.loads((kept / "tfmot.json").read_text())
    else:
        edgepack(recipe, out, "--to", "verify")
        result = figures(out / "compression", precision, kept)
    result |= {"name": name, "seed": seed, "precision": precision, "steps": steps}
    result["seconds"] = round(time.monotonic() - start, 1)
    (kept / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def recipe_path(seed: int) -> Path:
    """Where the recipe of the technique at work is; one file a seed, so that seeds can be measured side by side."""
    return WORK / f"recipe-{seed}.yaml"


def recipe_of(trained: Path, seed: int, precision: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The example's recipe from its trained model on, with other steps."""
    from ruamel.yaml import YAML

    example = YAML(typ="safe").load(EXAMPLE)
    return {
        "name": "compression",
        "seed": seed,
        "data": example["data"],
        "model": {"file": str(trained)},
        "training": {**example["training"], "epochs": 0},
        "compress": steps,
        "export": [{"format": "tflite", "precision": precision}],
        "targets": ["linux-amd64-cpu"],
        "verify": {"pair_samples": 100},
    }


def figures(run: Path, precision: str, kept: Path) -> dict[str, Any]:
    """Read what a run left and keep its file."""
    (exported,) = [path for path in newest(run, "export-*") if path.name == f"model.{precision}.tflite"]
    (verified,) = [path for path in newest(run, "verify-*") if path.name == "verify.json"]
    document = json.loads(verified.read_text())
    (artifact,) = [item for item in document["artifacts"] if item["runtime"] == "litert"]
    shutil.copy(exported, kept / "model.tflite")
    record = json.loads((run / "run.json").read_text())
    return {
        "accuracy": artifact["accuracy"],
        "float_accuracy": document["baseline"]["accuracy"],
        "metrics": [step["metrics"] for step in record["steps"]],
        **weigh(kept / "model.tflite"),
    }


def newest(run: Path, pattern: str) -> list[Path]:
    """The files of the newest entry of a stage."""
    folder = max(run.glob(f"cache/{pattern}"), key=lambda path: path.stat().st_mtime)
    return list(folder.iterdir())


def weigh(path: Path) -> dict[str, Any]:
    """Sparsity, raw and compressed bytes of a file."""
    from edgepack.stages import footprint

    return footprint.weigh(path.read_bytes())


def tfmot_qat(trained: Path, kept: Path) -> None:
    """QAT with TFMOT's `quantize_model`: everything else, training included, is as in edgepack's own step."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    from edgepack import dataset
    from edgepack.keras_models.load import load
    from edgepack.recipe import load as load_recipe
    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import open_session
    from edgepack.runner.tasks.classification import figure
    from edgepack.schedules import cosine
    from edgepack.stages.determinism import make_deterministic
    from edgepack.training.fit import fit

    recipe = load_recipe(recipe_path(int(kept.name.rsplit("-", 1)[1])))
    make_deterministic(recipe.seed)
    data = dataset.load(newest(WORK / f"runs-{recipe.seed}" / "compression", "data-*")[0].parent)
    model = tfmot.quantization.keras.quantize_model(load(trained))
    fit(
        model,
        data,
        recipe.training,
        epochs=QAT["epochs"],
        learning_rate=QAT["learning_rate"],
        schedule=cosine.Config(),
        seed=recipe.seed,
        progress=lambda _: None,
        label="tfmot",
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path = kept / "model.tflite"
    path.write_bytes(converter.convert())
    x, y = data.inputs("test"), data.targets("test")
    with open_session("litert", path, 1) as session:
        _, outputs = predict(session, x)
    expected = load(trained).predict(x, batch_size=512, verbose=0)
    result = {
        "accuracy": figure(outputs, x, y),
        "float_accuracy": figure(expected, x, y),
        "metrics": [],
        **weigh(path),
    }
    (kept / "tfmot.json").write_text(json.dumps(result) + "\n")


def write_results() -> None:
    """Measure all files in turn and write the JSON."""
    from edgepack.environment import describe

    folders = sorted(path.parent for path in (WORK / "files").glob("*/result.json"))
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    for result, times in zip(results, latencies([folder / "model.tflite" for folder in folders]), strict=True):
        result["latency_ms"] = {
            "median": statistics.median(times),
            "lowest": min(times),
            "highest": max(times),
        }
    document = {
        "command": "python benchmarks/compression.py --run",
        "environment": describe(),
        "threads": 1,
        "results": results,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def latencies(paths: list[Path]) -> list[list[float]]:
    """Milliseconds per inference of each file: in each round, the median of some runs, files in turn."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreters = []
    for path in paths:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        detail = interpreter.get_input_details()[0]
        sample = np.random.default_rng(0).uniform(0, 1, detail["shape"]).astype(np.float32)
        interpreter.set_tensor(detail["index"], sample.astype(detail["dtype"]))
        interpreters.append(interpreter)
    times: list[list[float]] = [[] for _ in paths]
    for _ in range(ROUNDS):
        for interpreter, found in zip(interpreters, times, strict=True):
            runs = []
            for _ in range(RUNS):
                start = time.perf_counter_ns()
                interpreter.invoke()
                runs.append((time.perf_counter_ns() - start) / 1e6)
            found.append(statistics.median(runs))
    return times


TEXT = """\
# What compression costs and pays

A ResNet-8 of 78,426 parameters (as in [the Fashion-MNIST example](../examples/fashion_mnist/README.md), but with
BatchNormalization in its shortcuts and no biases in its convolutions), trained in float, then compressed
in one way after the other: accuracy of the `.tflite` file on the 10,000 test images, points lost against the float
model that it came from, share of zeros, size, size when compressed as in an APK, latency in LiteRT with one thread
(all files in turn, median of {rounds} medians of {runs} runs). Where there are brackets: mean of {seeds} seeds,
lowest to highest. Elsewhere one seed, with which a difference of 0.2 points says little.

![Accuracy against compressed size and against latency](images/compression.png)

| technique | file | accuracy, % | points lost | zeros, % | KiB | compressed, KiB | ms | speed |
|---|---|---|---|---|---|---|---|---|
{rows}

- Two epochs of QAT end {qat:+.2f} points from the float model; TFMOT's `quantize_model` with the same data, schedule
  and epochs {tfmot:+.2f}.
- The compressed file of PQAT is {smaller[PQAT]:.0f} % smaller than that of plain QAT and loses {more[PQAT]:.2f}
  points more; PCQAT: {smaller[PCQAT]:.0f} % and {more[PCQAT]:.2f} points. Neither is faster: LiteRT computes with
  zeros as with any number.
- What makes a model faster is fewer channels, and 8 bits. The wider model (width {wide} instead of 16) is
  {faster:.1f}x faster with half of its operations, {narrowed:+.2f} points from its float model. The example's int8
  file gains nothing by that: its kernels are narrower than the processor's integer tiles already.

Pruning takes 60 %, polynomial, four epochs (2:4 as many); clustering 16 centroids a kernel, one epoch; QAT two
epochs; channel pruning goes to half of the multiply-accumulate operations in sixteen. Every step as a recipe has
it is in `benchmarks/results/compression.json`.

    python benchmarks/compression.py --run

measures all of it again: about an hour and a half on two cores.

{cost}
"""

Results = dict[str, list[dict[str, Any]]]
"""The measured files of each technique, one a seed."""


def by_name(results: list[dict[str, Any]]) -> Results:
    """Results in the order of `VARIANTS`."""
    return {name: found for name in VARIANTS if (found := [item for item in results if item["name"] == name])}


def mean(results: list[dict[str, Any]], key: str) -> float:
    """The mean over the seeds."""
    return float(statistics.mean(result[key] for result in results))


def lost(results: list[dict[str, Any]]) -> float:
    """Points of accuracy between the float model and the file, mean over the seeds; negative when it gained."""
    return 100 * float(statistics.mean(result["float_accuracy"] - result["accuracy"] for result in results))


def page(groups: Results) -> str:
    """The page of the documentation."""
    compressed = {name: mean(results, "compressed_bytes") for name, results in groups.items()}
    first = {name: results[0] for name, results in groups.items()}
    fastest = first["float32"]["latency_ms"]["median"]
    rows = []
    for name, results in groups.items():
        accuracies = [100 * result["accuracy"] for result in results]
        spread = f" ({min(accuracies):.2f} to {max(accuracies):.2f})" if len(results) > 1 else ""
        latency = first[name]["latency_ms"]["median"]
        cells = (
            name,
            first[name]["precision"],
            f"{statistics.mean(accuracies):.2f}{spread}",
            f"{lost(results):.2f}",
            f"{100 * mean(results, 'sparsity'):.0f}",
            f"{mean(results, 'raw_bytes') / 1024:.1f}",
            f"{compressed[name] / 1024:.1f}",
            f"{latency:.3f}",
            f"{fastest / latency:.2f}x",
        )
        rows.append("| " + " | ".join(cells) + " |")
    smaller = {name: 100 * (1 - compressed[name] / compressed["QAT"]) for name in ("PQAT", "PCQAT")}
    more = {name: lost(groups[name]) - lost(groups["QAT"]) for name in smaller}
    return TEXT.format(
        rounds=ROUNDS,
        runs=RUNS,
        seeds=max(len(results) for results in groups.values()),
        rows="\n".join(rows),
        qat=-lost(groups["QAT"]),
        tfmot=-lost(groups["TFMOT QAT"]),
        wide=WIDE,
        faster=first["wider"]["latency_ms"]["median"] / first["wider, half the MACs"]["latency_ms"]["median"],
        narrowed=-lost(groups["wider, half the MACs"]),
        smaller=smaller,
        more=more,
        cost=cost(json.loads(COST.read_text())),
    )


def cost(document: dict[str, Any]) -> str:
    """What the steps take beside the same work by hand, as `benchmarks/cost.py` measured it."""
    rounds = document["rounds"]
    ratios = [found["ratio"] for found in rounds]
    peaks = {side: statistics.mean(found[side]["peak_mib"] for found in rounds) for side in ("by hand", "edgepack")}
    return (
        f"Pruning and QAT of the example's model take {statistics.median(ratios):.2f} times as long as the same work\n"
        f"by hand with TFMOT ({min(ratios):.2f} to {max(ratios):.2f}; {len(ratios)} rounds, side by side, one core\n"
        f"each, cores swapped). Peak memory is {peaks['edgepack']:,.0f} MiB, by hand {peaks['by hand']:,.0f}:\n\n"
        f"    {document['command']}"
    )


def draw(groups: Results) -> None:
    """Accuracy against compressed size and against latency; each technique has a number, which the legend explains."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    shown = {name: results for name, results in groups.items() if "BatchNormalization" not in name}
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    for panel, label, value in (
        (panels[0], "compressed size, KiB", lambda r: r["compressed_bytes"] / 1024),
        (panels[1], "latency in LiteRT, 1 thread, ms", lambda r: r["latency_ms"]["median"]),
    ):
        panel.set(xlabel=label, xscale="log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.3)
        places = []
        for number, (name, results) in enumerate(shown.items(), 1):
            gains = [100 * (result["accuracy"] - result["float_accuracy"]) for result in results]
            x, y = statistics.mean(map(value, results)), statistics.mean(gains)
            color = {"int8": "C0", "float32": "C1"}.get(results[0]["precision"], "C2")
            spread = [[y - min(gains)], [max(gains) - y]]
            marker = "s" if name.startswith("TFMOT") else "o"
            text = f"{number} {name}"
            panel.errorbar(x, y, yerr=spread, fmt=marker, color=color, capsize=3, markersize=5, label=text)
            places.append((x, y, str(number)))
        for x, y, text in _together(panel, places):
            panel.annotate(text, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=8)
    panels[0].set_ylabel("accuracy minus that of the float model, points")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    seeds = max(len(results) for results in shown.values())
    figure.suptitle(f"Fashion-MNIST, ResNet-8: what each technique costs and pays (bars: {seeds} seeds)", fontsize=11)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=130)


def _together(panel: Any, places: list[tuple[float, float, str]], near: float = 14) -> list[tuple[float, float, str]]:
    """One label for points that are closer than some pixels."""
    found: list[tuple[float, float, str]] = []
    panel.autoscale_view()
    for x, y, text in places:
        at = panel.transData.transform((x, y))
        for index, (other_x, other_y, other) in enumerate(found):
            if max(abs(at - panel.transData.transform((other_x, other_y)))) < near:
                found[index] = (other_x, other_y, f"{other}, {text}")
                break
        else:
            found.append((x, y, text))
    return found


if __name__ == "__main__":
    main()
