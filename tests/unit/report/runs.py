"""How does a run folder look, written out as a real run of the digits example leaves it?"""

import json
import random
from pathlib import Path
from typing import Any

Document = dict[str, Any]

FILES = ("model.int8.tflite", "model.float32.tflite", "model.int8.onnx", "model.float32.onnx")
SIZE_BYTES = dict(zip(FILES, (21_344, 57_912, 25_466, 60_233), strict=True))
ACCURACY = dict(zip(FILES, (0.9778, 0.9833, 0.9778, 0.9833), strict=True))
P50_MS = dict(zip(FILES, (0.0121, 0.0243, 0.0217, 0.0331), strict=True))


def runtime_of(file: str) -> str:
    """The one runtime that this example uses for a file."""
    return "litert" if file.endswith(".tflite") else "onnxruntime"


def curve(epochs: int, start: float, end: float) -> list[Document]:
    """A learning curve that rises from one accuracy to another."""
    points = []
    for epoch in range(1, epochs + 1):
        share = 1 - 0.75 ** (epoch - 1)
        accuracy = start + (end - start) * share
        points.append(
            {
                "epoch": epoch,
                "loss": round(2.2 * (1.02 - accuracy), 4),
                "accuracy": round(accuracy, 4),
                "val_loss": round(2.2 * (1.03 - accuracy) + 0.02 * (epoch % 3), 4),
                "val_accuracy": round(accuracy - 0.004 * (epoch % 3), 4),
                "learning_rate": 0.001,
            }
        )
    return points


LAYERS = (
    ("conv2d", "Conv2D"),
    ("batch_normalization", "BatchNormalization"),
    ("re_lu", "ReLU"),
    ("depthwise_conv2d", "DepthwiseConv2D"),
    ("global_average_pooling2d", "GlobalAveragePooling2D"),
    ("dense", "Dense"),
    ("softmax", "Softmax"),
)


def footprint(precision: str, raw_bytes: int, compressed_bytes: int, sparsity: float, p50_ms: float) -> Document:
    """What a stage of its own found out about the model after a step."""
    return {
        "precision": precision,
        "sparsity": sparsity,
        "raw_bytes": raw_bytes,
        "compressed_bytes": compressed_bytes,
        "val_accuracy": None,
        "reason": None,
        "latency_ms": {"p50": p50_ms, "p90": 1.2 * p50_ms},
        "latency_reason": None,
        "threads": 2,
        "runs": 800,
    }


def run_document(targets: list[str], *, smoke: bool = False) -> Document:
    """run.json"""
    prune = [
        {"layer": name, "class": kind, "status": "pruned", "reason": None}
        if kind in ("Conv2D", "Dense")
        else {"layer": name, "class": kind, "status": "skipped", "reason": "no kernel that is worth pruning"}
        for name, kind in LAYERS
    ]
    quantise = [{"layer": name, "class": kind, "status": "quantised", "reason": None} for name, kind in LAYERS]
    quantise[-1] |= {"status": "passed through", "reason": "softmax stays in float while training"}
    names = ("data", "train", "compress", "export", "verify", "image", "bench")
    return {
        "schema": "edgepack.run/1",
        "name": "digits",
        "recipe_file": "examples/digits/recipe.yaml",
        "recipe": {"name": "digits", "targets": targets},
        "recipe_sha256": "5f2c" * 16,
        "smoke": smoke,
        "stages": [
            {
                "name": name,
                "label": "1-prune" if name == "compress" else "",
                "seconds": 0.4 + 3.1 * index,
                "cached": index == 0,
                "status": "ok",
                "reason": None,
                "peak_mib": None if name in ("image", "bench") else 612.5 + index,
            }
            for index, name in enumerate(names)
        ],
        "selection": None,
        "training": {
            "curve": curve(20, 0.31, 0.989),
            "seconds": 14.2,
            "parameters": 13_418,
            "layers": 11,
            "val_accuracy": 0.9861,
            "footprint": footprint("float32", 57_912, 53_108, 0.0, 0.0243),
        },
        "steps": [
            {
                "use": "prune",
                "seconds": 8.31,
                "curve": curve(6, 0.93, 0.986),
                "metrics": {"sparsity": 0.5, "val_accuracy_before": 0.9861, "val_accuracy_after": 0.9833},
                "layers": prune,
                "precision": None,
                "rewrites": ["rescaling: folded into the convolution conv2d"],
                "warnings": ["the layer dense is small: pruning it saves 40 bytes"],
                "footprint": footprint("float32", 57_912, 31_744, 0.5, 0.0241),
            },
            {
                "use": "qat",
                "seconds": 65.8,
                "curve": curve(4, 0.96, 0.985),
                "metrics": {
                    "sparsity": 0.5,
                    "val_accuracy_before": 0.9833,
                    "val_accuracy_after": 0.9806,
                    "ranges": {"calibration_batches": 8, "widest": 5.73},
                },
                "layers": quantise,
                "precision": None,
                "rewrites": [],
                "warnings": [],
                "footprint": footprint("int8", 21_344, 13_210, 0.513, 0.0121),
            },
        ],
        "environment": {
            "edgepack": "0.1.0",
            "python": "3.11.7",
            "tensorflow": "2.21.0",
            "machine": "x86_64",
            "cpu": "AMD EPYC 7B13, 2 cores",
        },
        "targets": targets,
    }


def manifest_document(target: str, platform: str, files: tuple[str, ...] = FILES) -> Document:
    """manifest.json"""
    artifacts = []
    for file in files:
        int8 = ".int8." in file
        tensor = {"dtype": "int8" if int8 else "float32", "scale": 0.0039 if int8 else None}
        tensor["zero_point"] = -128 if int8 else None
        artifacts.append(
            {
                "file": file,
                "format": file.rsplit(".", 1)[1],
                "precision": "int8" if int8 else "float32",
                "sha256": "9c1e" * 16,
                "size_bytes": SIZE_BYTES[file],
                "runtimes": [runtime_of(file)],
                "inputs": [{"name": "image", "shape": [1, 8, 8, 1], **tensor}],
                "outputs": [{"name": "softmax", "shape": [1, 10], **tensor}],
                "tolerance": {"max_abs": 0.02, "top1": 0.99},
                "lineage": [{"stage": stage, "digest": "ab12"} for stage in ("train", "prune", "qat", "export")],
            }
        )
    return {
        "schema": "edgepack.manifest/1",
        "name": "digits",
        "target": target,
        "platform": platform,
        "threads": 2,
        "recipe_sha256": "5f2c" * 16,
        "data_fingerprint": "77aa" * 16,
        "labels": [str(digit) for digit in range(10)],
        "task": "classification",
        "preprocessing": {"scale": 0.0625, "offset": 0.0},
        "artifacts": artifacts,
        "golden": {"file": "golden.npz", "samples": 32},
        "files": dict.fromkeys(files, "9c1e" * 16),
        "tools": {"tensorflow": "2.21.0", "onnx": "1.23.2"},
    }


def verify_document(files: tuple[str, ...] = FILES, *, limit: float = 0.01) -> Document:
    """verify.json; a limit below the int8 drop of 0.0055 makes its gate fail."""
    checks, gates = [], []
    for file in files:
        drop = round(0.9833 - ACCURACY[file], 4)
        failed = drop > limit
        checks.append(
            {
                "file": file,
                "runtime": runtime_of(file),
                "source": "quantised" if ".int8." in file else "float",
                "accuracy": ACCURACY[file],
                "source_accuracy": 0.9806 if ".int8." in file else 0.9833,
                "drop": drop,
                "top1_agreement": 0.9944 if ".int8." in file else 1.0,
                "max_abs_error": 0.0351 if ".int8." in file else 3.2e-7,
                "sqnr_db": 34.1 if ".int8." in file else 121.0,
                "status": "failed" if failed else "ok",
                "reasons": [f"accuracy drop {drop} is above {limit}"] if failed else [],
            }
        )
        gates.append(
            {
                "gate": "max_accuracy_drop",
                "artifact": f"{file}@{runtime_of(file)}",
                "limit": limit,
                "value": drop,
                "status": "failed" if failed else "ok",
            }
        )

    def side(file: str, kernels: str | None) -> Document:
        return {"file": file, "runtime": runtime_of(file), "kernels": kernels}

    pair = {"samples": 360, "max_abs_difference": 0.0078, "max_lsb_difference": 2, "top1_agreement": 1.0}
    pairs = [
        {
            "a": side("model.int8.tflite", "builtin"),
            "b": side("model.int8.tflite", "reference"),
            **pair,
            "yardstick": True,
            "status": None,
        },
        {
            "a": side("model.int8.tflite", "xnnpack"),
            "b": side("model.int8.onnx", None),
            **pair,
            "yardstick": False,
            "status": "ok",
        },
    ]
    return {
        "schema": "edgepack.verify/1",
        "samples": 360,
        "metric": "accuracy",
        "baseline": {"accuracy": 0.9833},
        "artifacts": checks,
        "pairs": pairs,
        "gates": gates,
    }


def bench_document(
    files: tuple[str, ...] = FILES, *, machine: str = "x86_64", emulated: bool = False, factor: float = 1.0
) -> Document:
    """What the runner prints for `bench`."""
    results = []
    for index, file in enumerate(files):
        chance = random.Random(index)
        median = P50_MS[file] * factor
        samples = [round(1e6 * median * (0.96 + 0.04 * chance.lognormvariate(0, 0.8))) for _ in range(1500)]
        ordered = sorted(samples)
        results.append(
            {
                "artifact": file,
                "sha256": "9c1e" * 16,
                "runtime": runtime_of(file),
                "runtime_version": "2.3.0" if file.endswith("tflite") else "1.32.0",
                "details": {"delegate": "XNNPACK"} if file.endswith("tflite") else {"provider": "CPU"},
                "threads": 2,
                "status": "ok",
                "reason": None,
                "import_ms": 84.1,
                "load_ms": 1.42,
                "first_inference_ms": 0.31,
                "latency_ms": {
                    "p50": ordered[750] / 1e6,
                    "p90": ordered[1350] / 1e6,
                    "p99": ordered[1485] / 1e6,
                    "mean": sum(ordered) / 1500e6,
                    "min": ordered[0] / 1e6,
                    "max": ordered[-1] / 1e6,
                    "stdev": 0.0011,
                },
                "runs": 1500,
                "warmup_runs": 220,
                "samples_ns": samples,
                "peak_rss_mib": 51.3,
            }
        )
    return {
        "schema": "edgepack.latency/1",
        "protocol": {
            "threads": 2,
            "warmup_s": 0.5,
            "min_runs": 50,
            "min_time_s": 2.0,
            "clock": "perf_counter_ns",
            "input": "golden samples",
        },
        "environment": {
            "cpu": "AMD EPYC 7B13",
            "cores": 2,
            "machine": machine,
            "kernel": "6.1.0",
            "python": "3.11.2",
            "governor": None,
            "container": True,
            "emulated": emulated,
        },
        "results": results,
    }


def latency_document(container: Document | None, host: Document | None, *, reason: str = "") -> Document:
    """latency.json"""
    return {
        "schema": "edgepack.latencies/1",
        "host": host,
        "host_reason": None if host else reason,
        "container": container,
        "container_reason": None if container else reason,
        "identical": {f"{file}@{runtime_of(file)}": True for file in FILES} if container and host else {},
        "gates": [],
    }


def image_document(target: str, platform: str) -> Document:
    """image/image.json of an image that was built."""
    packages = {
        "ai-edge-litert": 27_800_000,
        "numpy": 21_300_000,
        "onnxruntime": 58_100_000,
        "protobuf": 1_540_000,
    }
    return {
        "schema": "edgepack.image/1",
        "status": "built",
        "reason": None,
        "tag": f"edgepack/digits:{target}",
        "id": "sha256:" + "d0" * 32,
        "platform": platform,
        "base_image": "edgepack/base:bookworm",
        "base_digest": None,
        "size_mib": 144.6,
        "layers": [
            {"name": "base", "size_mib": 41.2},
            {"name": "runtime", "size_mib": 103.1},
            {"name": "runner", "size_mib": 0.12},
            {"name": "model", "size_mib": 0.17},
        ],
        "packages": [
            {"name": name, "version": "1.0", "sha256": "77" * 32, "size_bytes": size} for name, size in packages.items()
        ],
        "command": f"docker build -t edgepack/digits:{target} out/digits/{target}/image",
    }


def selection_document() -> Document:
    """What run.json says of chosen columns."""
    columns = [("age", 2, 0.4, 1.0, True), ("pulse <5 min>", 1, 0.9, 4.0, True), ("scan", None, None, 900.0, False)]
    keys = ("name", "rank", "score", "cost", "chosen")
    return {
        "use": "rfe",
        "budget": 6.0,
        "cost": 5.0,
        "curve": [],
        "columns": [dict(zip(keys, column, strict=True)) for column in columns],
    }


def put(path: Path, document: Document) -> None:
    """Write one JSON document, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def write_run(out: Path, *, smoke: bool = False, limit: float = 0.01) -> Path:
    """A whole run for one target, timed in the container and on the host, its image built.

    Returns:
        out/digits.
    """
    run = out / "digits"
    target = "linux-amd64-cpu"
    put(run / "run.json", run_document([target], smoke=smoke))
    put(run / target / "manifest.json", manifest_document(target, "linux/amd64"))
    put(run / target / "verify.json", verify_document(limit=limit))
    put(run / target / "latency.json", latency_document(bench_document(factor=1.03), bench_document()))
    put(run / target / "image" / "image.json", image_document(target, "linux/amd64"))
    return run


def add_emulated(run: Path) -> Path:
    """Add an arm64 target whose container ran in an emulator, with a latency gate that failed there."""
    target = "linux-arm64-cpu"
    files = FILES[:2]
    listed = json.loads((run / "run.json").read_text())
    put(run / "run.json", listed | {"targets": [*listed["targets"], target]})
    put(run / target / "manifest.json", manifest_document(target, "linux/arm64", files))
    put(run / target / "verify.json", verify_document(files))
    bench = bench_document(files, machine="aarch64", emulated=True, factor=38)
    latency = latency_document(bench, None, reason="the host is x86_64, the target is arm64")
    gate = {"gate": "max_latency_p90_ms", "limit": 0.5, "artifact": None, "value": 0.96, "status": "failed"}
    put(run / target / "latency.json", latency | {"gates": [gate]})
    put(run / target / "image" / "image.json", image_document(target, "linux/arm64"))
    return run / target


def add_unbuilt(run: Path) -> Path:
    """Add an Android target: nothing timed, no image built."""
    target = "android-arm64"
    files = FILES[:2]
    listed = json.loads((run / "run.json").read_text())
    put(run / "run.json", listed | {"targets": [*listed["targets"], target]})
    put(run / target / "manifest.json", manifest_document(target, "android/arm64", files))
    put(run / target / "verify.json", verify_document(files))
    put(
        run / target / "latency.json",
        latency_document(None, None, reason="no device: android/arm64 cannot run here"),
    )
    put(
        run / target / "image" / "image.json",
        image_document(target, "android/arm64")
        | {"status": "context only", "reason": "no container engine answers", "size_mib": None, "layers": []},
    )
    return run / target


def device_document(name: str, address: str, *, simulated: bool = False, factor: float = 1.0) -> Document:
    """What the runner says on another device, with everything that a measurement may tell."""
    document = bench_document(FILES[:2], machine="aarch64", factor=factor)
    document["device"] = {"name": name, "address": address, "simulated": simulated}
    document["protocol"] |= {"quick": simulated, "clock": "instructions" if simulated else "wall"}
    flags = [
        {"kind": "throttling", "text": "the frequency fell from 1800 to 1200 MHz while it ran"},
        {"kind": "simulated", "text": "instructions were counted on a virtual board; this is no time of a device"},
    ]
    for index, result in enumerate(document["results"]):
        p50 = result["latency_ms"]["p50"]
        state = {
            "governor": "ondemand",
            "frequency_khz": 1_800_000,
            "temperature_c": 51.5,
            "load_average": [0.2, 0.1, 0.0],
        }
        result |= {
            "interval_ms": {
                "p50": [0.98 * p50, 1.03 * p50],
                "p90": [1.1 * p50, 1.3 * p50],
                "p99": [1.5 * p50, 2 * p50],
            },
            "windows": [{"p50_ms": p50, "runs": 500}, {"p50_ms": 1.01 * p50, "runs": 500}],
            "stable": index == 0,
            "flags": [flags[1]] if simulated else [flags[0]] * (index == 1),
            "machine": {"before": state, "after": state | {"frequency_khz": 1_200_000, "temperature_c": 71.0}},
            "energy_mj": None if simulated else 0.42,
            "nodes": {"total": 10, "by": {"XNNPACK": 9, "LiteRT": 1}},
        }
        if not simulated:
            kinds = [("CONV_2D", 2, 0.061, 0.82), ("SOFTMAX", 1, 0.013, 0.18)]
            operators = [dict(zip(("type", "count", "mean_ms", "share"), kind, strict=True)) for kind in kinds]
            result["details"] = result["details"] | {"operators": operators}
    return document


def add_devices(run: Path) -> None:
    """Add what a real board and a virtual one measured for the arm64 target."""
    folder = run / "linux-arm64-cpu" / "devices"
    put(folder / "field-board.json", device_document("field-board", "ssh://field-board", factor=6))
    put(folder / "board.json", device_document("board", "board", simulated=True, factor=40))


def add_history(run: Path, artifact: str = FILES[0], *, count: int = 6, simulated: bool = False) -> Path:
    """Add what `edgepack bench --history` kept of the same file on earlier days, the last one slower and flagged."""
    path = run / "history" / "latency.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = []
    for day in range(count):
        p50 = P50_MS[artifact] * (1.2 if day == count - 1 else 1 + 0.01 * (day % 2))
        lines.append(
            {
                "schema": "edgepack.history/1",
                "time": f"2025-03-{day + 1:02}T06:00:00Z",
                "lineage": f"digits/linux-amd64-cpu/{artifact}",
                "device": {"address": "board" if simulated else "local", "name": "x", "simulated": simulated},
                "cpu": "AMD EPYC 7B13",
                "artifact": artifact,
                "sha256": ("aa" if day < 3 else "bb") * 32,
                "runtime": runtime_of(artifact),
                "threads": 2,
                "latency_ms": {"p50": p50, "p90": 1.1 * p50, "p99": 1.3 * p50},
                "interval_ms": {"p50": [0.98 * p50, 1.02 * p50]},
                "flags": ["contention"] if day == count - 1 else [],
            }
        )
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path
