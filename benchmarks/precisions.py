"""Does every model become a file of every precision that verifies and runs?

    python benchmarks/precisions.py                  # page from `benchmarks/results/precisions.json`
    python benchmarks/precisions.py --run            # `edgepack run` for what is missing: about an hour

Eight models are trained briefly on real data that come with scikit-learn, and one recipe each exports them in every
precision of both formats, for LiteRT, ONNX Runtime and OpenVINO. A cell says what `edgepack run` says: how well the
file agrees with the Keras model, and whether its gates of parity hold. Results: ``benchmarks/results/precisions.json``,
``docs/precisions.md``.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack.environment import describe
from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "benchmarks" / "precisions"
RESULTS = ROOT / "benchmarks" / "results" / "precisions.json"
PAGE = ROOT / "docs" / "precisions.md"
THIS = Path(__file__).resolve()

EXPORTS = (
    *(("tflite", precision) for precision in ("float32", "float16", "dynamic_range", "int8", "int16x8")),
    *(("onnx", precision) for precision in ("float32", "float16", "dynamic_range", "int8")),
)
TARGET = {
    "description": "Every runtime for CPUs",
    "platform": "linux/amd64",
    "runtimes": ["litert", "onnxruntime", "openvino"],
    "precisions": ["float32", "float16", "dynamic_range", "int8", "int16x8"],
    "image": {"platform": "linux/amd64", "base": "python:3.11-slim", "build": False},
}


@dataclass(frozen=True)
class Case:
    """One row: a model, its data, how it is trained."""

    model: dict[str, Any]
    side: int = 64
    channels: int = 3
    largest: float = 1.0
    training: dict[str, Any] = field(default_factory=lambda: {"epochs": 6, "learning_rate": 0.002})
    data: dict[str, Any] | None = None
    task: dict[str, Any] | None = None

    def recipe(self, name: str) -> dict[str, Any]:
        """The recipe of this row."""
        enlarged = {"python": f"{THIS}:digits", "args": {"side": self.side, "channels": self.channels}}
        pixels = {"preprocessing": {"scale": self.largest / 16}}
        return {
            "name": name,
            "data": self.data or {**enlarged, **pixels},
            **({"task": self.task} if self.task else {}),
            "model": self.model,
            "training": {"batch_size": 32, "schedule": "one_cycle", **self.training},
            "export": [{"format": kind, "precision": precision} for kind, precision in EXPORTS],
            "targets": [str(WORK / "every-runtime.yaml")],
            "verify": {"samples": 200, "pair_samples": 64, "golden": 16, "layer_samples": 4},
            "bench": {"warmup_s": 0.2, "min_time_s": 0.5},
        }


MOMENTUM = {"batch_normalization": {"momentum": 0.7}}
"""So few steps would leave the moving statistics at their start."""

CASES = {
    "ResNet-8": Case({"zoo": "resnet8"}, side=32, training={"epochs": 8, "learning_rate": 0.002, **MOMENTUM}),
    "DS-CNN": Case({"zoo": "ds_cnn"}, side=48, channels=1, training={"epochs": 12, "learning_rate": 0.005, **MOMENTUM}),
    "MobileNetV2": Case({"zoo": "mobilenet_v2"}, training={"epochs": 8, "learning_rate": 0.002, **MOMENTUM}),
    "MobileNetV3Small": Case(
        {"zoo": "mobilenet_v3", "args": {"size": "small"}},
        largest=255.0,
        training={"epochs": 8, "learning_rate": 0.002, **MOMENTUM},
    ),
    "EfficientNetB0": Case(
        {"zoo": "efficientnet_b0"}, largest=255.0, training={"epochs": 12, "learning_rate": 0.002, **MOMENTUM}
    ),
    "ResNet50": Case({"python": f"{THIS}:resnet50"}, training={"epochs": 4, "learning_rate": 0.001, **MOMENTUM}),
    "auto-encoder": Case(
        {"zoo": "autoencoder"},
        data={"sklearn": "digits", "preprocessing": {"scale": 0.0625}, "split": {"validation": 0.2, "test": 0.3}},
        task={"use": "anomaly", "normal": ["8"]},
        training={"epochs": 40, "learning_rate": 0.005},
    ),
    "tabular MLP": Case(
        {"zoo": "mlp", "args": {"units": [64, 32]}},
        data={"python": f"{THIS}:tumours"},
        training={"epochs": 30, "learning_rate": 0.005},
    ),
}


def digits(side: int, channels: int) -> dict[str, Any]:
    """Real handwritten digits, enlarged: (n, side, side, channels), 0 to 16."""
    import numpy as np
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.kron(bunch.images, np.ones((1, side // 8, side // 8))).astype(np.float32)
    return {"x": np.repeat(images[..., None], channels, -1), "y": bunch.target}


def tumours() -> dict[str, Any]:
    """The breast-cancer table, each column with mean 0 and deviation 1."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    x = (bunch.data - bunch.data.mean(axis=0)) / bunch.data.std(axis=0)
    return {"x": x.astype("float32"), "y": bunch.target, "labels": list(bunch.target_names)}


def resnet50(input_shape: tuple[int, ...], classes: int) -> Any:
    """ResNet50 of Keras with random weights."""
    import tf_keras

    return tf_keras.applications.ResNet50(weights=None, input_shape=input_shape, classes=classes)


def main() -> None:
    """Run what is missing if asked to, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="run what is missing")
    parser.add_argument("--again", action="store_true", help="with --run: run everything anew")
    parser.add_argument("--models", nargs="*", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args()
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"models": {}}
    if arguments.run:
        WORK.mkdir(parents=True, exist_ok=True)
        (WORK / "every-runtime.yaml").write_text(json.dumps(TARGET))
        for name in arguments.models:
            if name in document["models"] and not arguments.again:
                continue
            document["models"][name] = run(name)
            document["environment"] = describe()
            RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    if document["models"]:
        PAGE.write_text(page(document))


def run(name: str) -> dict[str, Any]:
    """`edgepack run` of one row."""
    word = name.lower().replace(" ", "-")
    path = WORK / f"{word}.yaml"
    path.write_text(json.dumps(CASES[name].recipe(word), indent=1))
    argv = [sys.executable, "-m", "edgepack.cli.main", "run", str(path), "--out", str(WORK)]
    log = WORK / f"{word}.log"
    with log.open("wb") as out:
        code = subprocess.run(
            argv, cwd=ROOT, env={**environment(), "PYTHONPATH": str(ROOT)}, stdout=out, stderr=out
        ).returncode
    found: dict[str, Any] = {"exit_code": code, "artifacts": {}}
    verified = WORK / word / "every-runtime" / "verify.json"
    if not verified.exists():
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("error")]
        return {**found, "error": lines[-1] if lines else f"exit code {code}"}
    document = json.loads(verified.read_text())
    latency = json.loads((verified.parent / "latency.json").read_text())
    times = {
        (result["artifact"], result["runtime"]): result["latency_ms"]["p50"]
        for result in (latency.get("host") or {}).get("results", [])
        if result["status"] == "ok"
    }
    failed = [gate for gate in document["gates"] if gate["status"] == "failed"]
    for record in document["artifacts"]:
        key = f"{record['file']}@{record['runtime']}"
        found["artifacts"][key] = {
            "accuracy": record["accuracy"],
            "sqnr_db": record["sqnr_db"],
            "size_bytes": record["size_bytes"],
            "p50_ms": times.get((record["file"], record["runtime"])),
            "failed": [gate["gate"] for gate in failed if gate["artifact"] in (key, record["file"])],
        }
    stages = json.loads((WORK / word / "run.json").read_text())["stages"]
    export: dict[str, Any] = next((stage for stage in stages if stage["name"] == "export"), {})
    layers = next((pair["layers"] for pair in document["pairs"] if "layers" in pair), None)
    print(f"{name}: exit code {code}, {len(found['artifacts'])} artifacts, {len(failed)} gates missed", flush=True)
    return {
        **found,
        "baseline": document["baseline"][document["metric"]],
        "export_peak_mib": export.get("peak_mib"),
        "layers": layers and {"compared": layers["compared"], "largest": layers["largest"]},
    }


TEXT = """\
# Every precision of every model

Eight models, trained briefly on real data, through one recipe each that exports every precision of both formats for
LiteRT, ONNX Runtime and OpenVINO. A cell has the signal to quantisation noise ratio of the outputs against the Keras
model in decibels (∞ = equal), and the median latency on the machine that made the table; ✗ names the gate of parity
that a file misses. On a processor without VNNI OpenVINO cuts off sums of two products of bytes, which the gate finds.

{tables}

| model | float figure | layers of the int8 files, fed the same integers | export's peak memory |
|---|---|---|---|
{rows}

Machine: {machine}. `python benchmarks/precisions.py --run` makes all of it.
"""


def page(document: dict[str, Any]) -> str:
    """The Markdown page."""
    tables = []
    runtimes = {"tflite": ("litert",), "onnx": ("onnxruntime", "openvino")}
    for kind, names in runtimes.items():
        for runtime in names:
            precisions = [precision for own, precision in EXPORTS if own == kind]
            lines = [f"| `.{kind}` in {runtime} | {' | '.join(precisions)} |", "|---" * (len(precisions) + 1) + "|"]
            for model in CASES:
                found = document["models"].get(model)
                if found:
                    cells = [cell(found, f"model.{precision}.{kind}@{runtime}") for precision in precisions]
                    lines.append(f"| {model} | {' | '.join(cells)} |")
            tables.append("\n".join(lines))
    rows = []
    for model in CASES:
        found = document["models"].get(model)
        if found and "error" not in found:
            layers = found["layers"]
            compared = f"{layers['compared']} compared, off by {layers['largest']} step at most" if layers else "–"
            rows.append(
                f"| {model} | {100 * found['baseline']:.1f} % | {compared} | {found['export_peak_mib']:,.0f} MiB |"
            )
    cpu = document["environment"].get("cpu")
    return TEXT.format(
        tables="\n\n".join(tables), rows="\n".join(rows), machine=cpu if isinstance(cpu, str) else json.dumps(cpu)
    )


def cell(found: dict[str, Any], key: str) -> str:
    """What came of one file in one runtime."""
    record = found["artifacts"].get(key)
    if record is None:
        return "✗ not made" if "error" in found else "–"
    noise = "∞" if record["sqnr_db"] is None else f"{record['sqnr_db']:.0f}"
    time = "" if record["p50_ms"] is None else f", {record['p50_ms']:.3g} ms"
    missed = f" ✗ {', '.join(record['failed'])}" if record["failed"] else ""
    return f"{noise} dB{time}{missed}"


if __name__ == "__main__":
    main()
