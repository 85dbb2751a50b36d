"""Is what edgepack makes as fast as what its peers make of the same model, in the runtime that suits each best?

    python benchmarks/latency.py                  # page and picture from `benchmarks/results/latency.json`
    python benchmarks/latency.py --run            # measure what is missing first: about an hour
    python benchmarks/latency.py --run --models ResNet-8 --threads 1

Peers: TensorFlow Lite's converter and tf2onnx as they come, ai-edge-quantizer, ONNX Runtime's `quantize_static`,
OpenVINO and NNCF; what is not installed (``pip install ai-edge-quantizer nncf``) is left out and named. Random weights:
speed depends on shapes alone. All contenders of a model are open in one process and take turns of some inferences, so
that they meet the same machine; each turn counts with its fastest inference, and two contenders are compared turn by
turn. How far each is from the Keras model on the same samples stands beside it: some runtimes are fast because sums of
integers are cut off. Results:
``benchmarks/results/latency.json``, ``docs/latency.md``, ``docs/images/latency.png``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.environment import describe
from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "benchmarks" / "latency"
RESULTS = ROOT / "benchmarks" / "results" / "latency.json"
PICTURE = ROOT / "docs" / "images" / "latency.png"
PAGE = ROOT / "docs" / "latency.md"
FOLDERS = [str(ROOT), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {**environment(), "PYTHONPATH": os.pathsep.join(FOLDERS)}

ROUNDS, TURN_S, WARMUP_S = 15, 0.15, 1.0
SAMPLES = 16
LOST_DB = 6.0
"""An int8 file that is so much noisier than TFLite's own in LiteRT has lost a bit in its runtime: it is no choice."""
BAR = 1.05
"""The int8 .onnx may take this many times as long as that of `quantize_static`, both in ONNX Runtime."""


@dataclass(frozen=True)
class Network:
    """A model of `edgepack/zoo` with its usual input."""

    zoo: str
    input_shape: tuple[int, ...]
    classes: int


NETWORKS = {
    "ResNet-8": Network("resnet8", (32, 32, 3), 10),
    "DS-CNN": Network("ds_cnn", (49, 10, 1), 12),
    "MobileNetV2": Network("mobilenet_v2", (224, 224, 3), 1000),
    "EfficientNetB0": Network("efficientnet_b0", (224, 224, 3), 1000),
    "ResNet50": Network("resnet50", (224, 224, 3), 1000),
}


@dataclass(frozen=True)
class Contender:
    """A file in a runtime."""

    who: str
    precision: str
    runtime: str
    file: str

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.who} {self.precision}, {self.runtime}"


CONTENDERS = (
    Contender("edgepack", "float32", "litert", "edgepack.float32.tflite"),
    Contender("edgepack", "int8", "litert", "edgepack.int8.tflite"),
    Contender("edgepack", "float32", "onnxruntime", "edgepack.float32.onnx"),
    Contender("edgepack", "int8", "onnxruntime", "edgepack.int8.onnx"),
    Contender("edgepack", "float32", "openvino", "edgepack.float32.onnx"),
    Contender("edgepack", "int8", "openvino", "edgepack.int8.onnx"),
    Contender("TFLite converter", "float32", "litert", "converter.float32.tflite"),
    Contender("TFLite converter", "int8", "litert", "converter.int8.tflite"),
    Contender("ai-edge-quantizer", "int8", "litert", "quantizer.int8.tflite"),
    Contender("tf2onnx", "float32", "onnxruntime", "tf2onnx.float32.onnx"),
    Contender("quantize_static", "int8", "onnxruntime", "static.int8.onnx"),
    Contender("tf2onnx", "float32", "openvino", "tf2onnx.float32.onnx"),
    Contender("NNCF", "int8", "openvino", "nncf.int8.xml"),
)


def main() -> None:
    """Measure if asked to, then write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure what is missing")
    parser.add_argument("--again", action="store_true", help="with --run: measure everything anew")
    parser.add_argument("--models", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        return
    if arguments.measure:
        measure(arguments.measure[0], int(arguments.measure[1]))
        return
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"measured": {}}
    if arguments.run:
        for model in arguments.models:
            for threads in arguments.threads:
                key = f"{model}, {threads}"
                if key in document["measured"] and not arguments.again:
                    continue
                document["measured"][key] = fresh(model, threads)
                document["environment"] = describe()
                RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    if document["measured"]:
        draw(document["measured"])
        PAGE.write_text(page(document))


def fresh(model: str, threads: int) -> dict[str, Any]:
    """Make the files of a model, if they are not there, and time them, each in a process of its own."""
    ready = WORK / model / "made.json"
    if not ready.exists():
        subprocess.run([sys.executable, __file__, "--make", model], env=ENVIRONMENT, cwd=ROOT, check=True)
    argv = [sys.executable, __file__, "--measure", model, str(threads)]
    done = subprocess.run(argv, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, values in found["ms"].items():
        print(f"{model}, {threads} threads: {name}: {statistics.median(values):.3f} ms", flush=True)
    return {**found, **json.loads(ready.read_text())}


def build(network: Network, samples: Any) -> Any:
    """The network with random weights, whose BatchNormalization has the statistics of these samples."""
    import tf_keras

    from edgepack import extensions

    tf_keras.utils.set_random_seed(0)
    if network.zoo == "resnet50":
        model = tf_keras.applications.ResNet50(weights=None, input_shape=network.input_shape, classes=network.classes)
    else:
        module = extensions.load("edgepack.zoo", network.zoo)
        model = module.build(module.Config(), input_shape=network.input_shape, classes=network.classes)
    # Statistics that have seen no sample let the signal of a deep network die out, and ranges of 1e-8 are no ranges.
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(samples, training=True)
    return model


def make(name: str) -> None:
    """Write the files of all contenders that are installed, and ``made.json`` about those that are not there."""
    import numpy as np

    network, folder = NETWORKS[name], WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).uniform(0, 1, (SAMPLES, *network.input_shape)).astype(np.float32)
    model = build(network, samples)
    np.savez(folder / "samples.npz", samples=samples, outputs=model(samples, training=False).numpy())
    makers: tuple[Callable[[Any, Any, Path], None], ...] = (ours, converter, tf2onnx, quantizer, static, nncf)
    missing = {}
    for maker in makers:
        try:
            maker(model, samples, folder)
        except ImportError as error:
            missing[maker.__name__] = f"not installed: {error.name}"
        except Exception as error:  # a peer that cannot do a model is a result
            missing[maker.__name__] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    (folder / "made.json").write_text(json.dumps({"missing": missing}) + "\n")


def ours(model: Any, samples: Any, folder: Path) -> None:
    """What edgepack exports."""
    from exporting import export

    export(model, samples, folder, "edgepack.")


def converter(model: Any, samples: Any, folder: Path) -> None:
    """TensorFlow Lite's converter as its guide shows it."""
    import tensorflow as tf

    plain = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "converter.float32.tflite").write_bytes(plain.convert())
    integers = tf.lite.TFLiteConverter.from_keras_model(model)
    integers.optimizations = [tf.lite.Optimize.DEFAULT]
    integers.representative_dataset = lambda: ([sample[None]] for sample in samples)
    integers.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    integers.inference_input_type = integers.inference_output_type = tf.int8
    (folder / "converter.int8.tflite").write_bytes(integers.convert())


def tf2onnx(model: Any, samples: Any, folder: Path) -> None:
    """tf2onnx as it comes."""
    import tensorflow as tf
    import tf2onnx as converter

    signature = tf.TensorSpec((1, *samples.shape[1:]), tf.float32, name="input")
    converter.convert.from_keras(model, [signature], opset=17, output_path=str(folder / "tf2onnx.float32.onnx"))


def quantizer(model: Any, samples: Any, folder: Path) -> None:
    """ai-edge-quantizer's static int8 of the converter's float file."""
    from ai_edge_quantizer import quantizer as tool
    from ai_edge_quantizer import recipe

    source = str(folder / "converter.float32.tflite")
    made = tool.Quantizer(source, recipe.static_wi8_ai8())
    name = _signature_input(source)
    calibration = made.calibrate({"serving_default": [{name: sample[None]} for sample in samples]})
    made.quantize(calibration).export_model(str(folder / "quantizer.int8.tflite"), overwrite=True)


def _signature_input(path: str) -> str:
    from ai_edge_litert.interpreter import Interpreter

    return str(Interpreter(path).get_signature_list()["serving_default"]["inputs"][0])


def static(model: Any, samples: Any, folder: Path) -> None:
    """ONNX Runtime's static quantisation: unsigned activations, signed weights per channel, QDQ."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quant_pre_process, quantize_static

    source, prepared = folder / "tf2onnx.float32.onnx", folder / "static.prepared.onnx"
    quant_pre_process(str(source), str(prepared))
    name = onnxruntime.InferenceSession(str(prepared)).get_inputs()[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(samples)

        def get_next(self) -> Any:
            sample = next(self.rest, None)
            return None if sample is None else {name: sample[None]}

    quantize_static(
        str(prepared),
        str(folder / "static.int8.onnx"),
        Reader(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def nncf(model: Any, samples: Any, folder: Path) -> None:
    """NNCF's post-training int8 for OpenVINO."""
    import nncf as tool
    import openvino

    source = openvino.Core().read_model(str(folder / "tf2onnx.float32.onnx"))
    made = tool.quantize(source, tool.Dataset([sample[None] for sample in samples]), subset_size=len(samples))
    openvino.save_model(made, str(folder / "nncf.int8.xml"), compress_to_fp16=False)


def measure(name: str, threads: int) -> None:
    """Time all contenders of a model in turns and print their milliseconds, one figure a turn, and their noise."""
    import numpy as np

    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import open_session
    from edgepack.verify.parity import compare

    folder = WORK / name
    with np.load(folder / "samples.npz") as kept:
        samples, outputs = kept["samples"], kept["outputs"]
    sessions, noise = {}, {}
    for contender in CONTENDERS:
        path = folder / contender.file
        if path.exists():
            sessions[contender.name] = open_session(contender.runtime, path, threads)
            # Leaves the last sample set, for the turns.
            noise[contender.name] = compare(outputs, predict(sessions[contender.name], samples)[1]).sqnr_db
    counts = {label: _inferences(session.invoke) for label, session in sessions.items()}
    times: dict[str, list[float]] = {label: [] for label in sessions}
    labels = list(sessions)
    for number in range(ROUNDS):
        for label in labels[number % len(labels) :] + labels[: number % len(labels)]:
            times[label].append(_fastest(sessions[label].invoke, counts[label]))
    print(json.dumps({"ms": times, "inferences": counts, "sqnr_db": noise}))


def _inferences(invoke: Callable[[], object]) -> int:
    """Warm up, and say how many inferences make a turn."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < WARMUP_S or count < 3:
        invoke()
        count += 1
    return max(3, round(count * TURN_S / (time.perf_counter() - start)))


def _fastest(invoke: Callable[[], object], count: int) -> float:
    """Milliseconds of the fastest of some inferences."""
    best = float("inf")
    for _ in range(count):
        start = time.perf_counter_ns()
        invoke()
        best = min(best, (time.perf_counter_ns() - start) / 1e6)
    return best


@dataclass(frozen=True)
class Row:
    """What was measured of a model with some threads: milliseconds of each turn, and decibels, by contender."""

    model: str
    threads: int
    ms: dict[str, list[float]]
    sqnr_db: dict[str, float]

    @property
    def name(self) -> str:
        """How texts call it."""
        return f"{self.model} with {self.threads}"

    def median(self, contender: str) -> float:
        """Milliseconds."""
        return statistics.median(self.ms[contender])

    def lost(self, contender: str) -> bool:
        """Whether an int8 contender is much noisier than int8 has to be."""
        reference = self.sqnr_db["TFLite converter int8, litert"]
        return "int8" in contender and self.sqnr_db[contender] < reference - LOST_DB

    def best(self, *, own: bool) -> str:
        """The fastest contender of ours, or of the peers, of those that lose no bit."""
        fit = [name for name in self.ms if name.startswith("edgepack ") is own and not self.lost(name)]
        return min(fit, key=self.median)

    def ratio(self, one: str, other: str) -> tuple[float, float, float]:
        """Median of the ratios of the turns, and the interval of 95 % that resampling gives it."""
        import numpy as np
        from scipy.stats import bootstrap

        ratios = np.array(self.ms[one]) / np.array(self.ms[other])
        if ratios.max() == ratios.min():
            return (float(ratios[0]),) * 3
        found = bootstrap((ratios,), np.median, method="percentile", n_resamples=2000, rng=0).confidence_interval
        return float(np.median(ratios)), float(found.low), float(found.high)


def rows_of(measured: dict[str, Any]) -> Iterator[Row]:
    """In the order of the models."""
    for model in NETWORKS:
        for key, found in measured.items():
            name, threads = key.rsplit(", ", 1)
            if name == model:
                yield Row(model, int(threads), found["ms"], found["sqnr_db"])


def spread(values: list[float]) -> float:
    """Half of the middle half, over the median."""
    quarters = statistics.quantiles(values, n=4)
    return (quarters[2] - quarters[0]) / 2 / statistics.median(values)


def draw(measured: dict[str, Any]) -> None:
    """Time of each contender over that of the fastest peer: one row a model and number of threads."""
    from edgepack.report import svg

    rows = list(rows_of(measured))
    runtimes = ("litert", "onnxruntime", "openvino")
    with svg.style():
        figure = svg.new_figure(7.6, 0.8 + 0.42 * len(rows))
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            reference = row.median(row.best(own=False))
            for name in row.ms:
                if row.lost(name):
                    continue
                colour = svg.SERIES[runtimes.index(name.rsplit(", ", 1)[1])]
                own = name.startswith("edgepack ")
                marker = "o" if "int8" in name else "s"
                axes.scatter(
                    row.median(name) / reference,
                    place + (0.15 if own else -0.15),
                    color=colour if own else "white",
                    edgecolors=colour,
                    marker=marker,
                    s=28,
                    linewidths=1.2,
                    zorder=3,
                )
        axes.axvline(1, color=svg.MUTED, linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlim(right=1.25 * axes.get_xlim()[1])  # room for the names of the runtimes
        ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 5) if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_yticks(
            range(len(rows)), [f"{row.model}, {row.threads} thread{'s' * (row.threads > 1)}" for row in rows]
        )
        axes.invert_yaxis()
        axes.set_xlabel(
            "time over that of the fastest peer; filled: edgepack, open: peers; round: int8, square: float32"
        )
        for place, runtime in enumerate(runtimes):
            axes.text(
                0.99,
                0.97 - 0.06 * place,
                runtime,
                color=svg.SERIES[place],
                transform=axes.transAxes,
                ha="right",
                va="top",
            )
        figure.savefig(PICTURE, dpi=160, facecolor="white")


TEXT = """\
# As fast as the peers?

What edgepack makes of a model against what its peers make of it, in the runtime that suits each best. Random weights,
as speed depends on shapes alone; all contenders of a row are open in one process and take {rounds} turns, each counting
with its fastest inference. A ratio is the median of the turns' ratios, with the interval of 95 % that resampling them
gives.

![Time of each contender over that of the fastest peer](images/latency.png)

## The chosen artifact against the best peer

Only what keeps int8's accuracy is chosen, here as in `edgepack run`: a file in a runtime whose noise against the Keras
model is {lost:.0f} dB over that of TFLite's int8 in LiteRT is left out, ours and theirs. On processors without VNNI
OpenVINO adds products of bytes in 16 bits, which cuts them off, and ONNX Runtime does so with the files of
`quantize_static`; edgepack asks ONNX Runtime for the exact sums
([why](decisions/0037-integer-products-in-onnx-runtime-are-exact.md)), and lets OpenVINO compute the layers that read
the input in float. Trained weights meet such sums more often than these random ones:
[where a run then takes another runtime](precisions.md).

| model | threads | edgepack's fastest | ms | the fastest peer | ms | ratio | 95 % |
|---|---|---|---|---|---|---|---|
{chosen}

{verdict}
{why}
{left_out}

## The int8 `.onnx` against `quantize_static`, in ONNX Runtime

| model | threads | edgepack, ms | dB | `quantize_static`, ms | dB | ratio | 95 % |
|---|---|---|---|---|---|---|---|
{static}

{static_verdict}

## All figures

{tables}
{missing}
Machine: {machine}. `python benchmarks/latency.py --run` measures it again, with ai-edge-quantizer and NNCF installed
besides; the single turns are in `benchmarks/results/latency.json`.
"""

WHY = {
    "ResNet-8": "both files hold the same operations, and LiteRT gives all of them to XNNPACK; what is beyond the "
    "interval is the machine.",
}
"""Where a peer is faster beyond the spread: why, as far as it is known."""

MANY_CLASSES = (
    "Where a thousand classes share the outputs of random weights, most are smaller than a step of int8: the decibels "
    "of every int8 file are near nothing then, and leave none out."
)
OURS, STATIC = "edgepack int8, onnxruntime", "quantize_static int8, onnxruntime"


def page(document: dict[str, Any]) -> str:
    """The Markdown page."""
    rows = list(rows_of(document["measured"]))
    chosen, slower, why = [], [], {}
    for row in rows:
        own, peer = row.best(own=True), row.best(own=False)
        ratio, low, high = row.ratio(own, peer)
        chosen.append(
            f"| {row.model} | {row.threads} | {own.removeprefix('edgepack ')} | {row.median(own):.3f} | {peer} | "
            f"{row.median(peer):.3f} | {ratio:.2f} | {low:.2f} to {high:.2f} |"
        )
        if low > 1:
            slower.append(f"{row.name} ({ratio:.2f})")
            why[row.model] = WHY.get(row.model, "not known yet")
    static, beyond = _against_static(rows)
    lossy: dict[str, dict[str, None]] = {}
    for row in rows:
        for name in filter(row.lost, row.ms):
            lossy.setdefault(row.model, {})[name] = None
    left_out = [f"{model}: {' and '.join(names)}" for model, names in lossy.items()]
    missing = [
        f"- {key.rsplit(', ', 1)[0]}: {name}: {why}"
        for key, found in document["measured"].items()
        if key.endswith(", 1")
        for name, why in found["missing"].items()
    ]
    environment = document["environment"]
    return TEXT.format(
        rounds=ROUNDS,
        lost=LOST_DB,
        chosen="\n".join(chosen),
        verdict=_wrapped(f"Slower than the best peer beyond the spread: {'; '.join(slower) or 'none'}."),
        why="".join(f"\n{_wrapped(f'{model}: {reason}')}\n" for model, reason in why.items()),
        left_out=_wrapped(f"Left out for their noise: {'; '.join(left_out) or 'none'}. {MANY_CLASSES}"),
        static="\n".join(static),
        static_verdict=f"More than {BAR} times as long: " + ("; ".join(beyond) or "none") + ".",
        tables="\n".join(map(_table, rows)),
        missing="\nNot there:\n\n" + "\n".join(missing) + "\n\n" if missing else "\n",
        machine=environment["cpu"] if isinstance(environment.get("cpu"), str) else json.dumps(environment.get("cpu")),
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 118, break_on_hyphens=False)


def _against_static(rows: list[Row]) -> tuple[list[str], list[str]]:
    """Rows of the table, and what is over the bar."""
    lines, beyond = [], []
    for row in rows:
        if OURS not in row.ms or STATIC not in row.ms:
            continue
        ratio, low, high = row.ratio(OURS, STATIC)
        lines.append(
            f"| {row.model} | {row.threads} | {row.median(OURS):.3f} | {row.sqnr_db[OURS]:.0f} | "
            f"{row.median(STATIC):.3f} | {row.sqnr_db[STATIC]:.0f} | {ratio:.2f} | {low:.2f} to {high:.2f} |"
        )
        if ratio > BAR:
            beyond.append(f"{row.name} ({ratio:.2f})")
    return lines, beyond


def _table(row: Row) -> str:
    """All contenders of a row, the fastest first."""
    lines = "\n".join(
        f"| {name} | {row.median(name):.3f} | {100 * spread(row.ms[name]):.0f} % | {row.sqnr_db[name]:.0f} |"
        for name in sorted(row.ms, key=row.median)
    )
    title = f"### {row.model}, {row.threads} thread{'s' * (row.threads > 1)}"
    return f"{title}\n\n| | ms | spread | dB |\n|---|---|---|---|\n{lines}\n"


if __name__ == "__main__":
    os.environ.update(environment())
    main()
