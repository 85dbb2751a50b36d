"""Does every artifact agree with the model it came from and, across runtimes, with itself?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepack import dataset
from edgepack.errors import RecipeError, VerificationError
from edgepack.runner import tasks
from edgepack.runner.errors import RunnerError
from edgepack.runner.infer import predict
from edgepack.runner.sessions import for_file, load, open_session
from edgepack.stages.request import Request
from edgepack.verify import parity, weights

Outputs = NDArray[np.float32]

YARDSTICKS = {
    "int8": (("xnnpack", "reference"), ("builtin", "reference"), ("xnnpack", "builtin")),
    "dynamic_range": (("xnnpack", "builtin"),),
}
"""LiteRT's kernels that are held against each other, by precision; int16 has one set, float none that rounds."""


@dataclass(frozen=True)
class Ran:
    """One artifact under one runtime: raw outputs (samples, ...), the same as real numbers, and its tensors."""

    file: str
    runtime: str
    kernels: str | None
    raw: NDArray[Any]
    real: Outputs
    details: dict[str, Any]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]


@dataclass(frozen=True)
class Truth:
    """What artifacts are judged by: the task, inputs (samples, ...), labels (samples,), the float model's figure."""

    task: str
    x: Outputs
    labels: NDArray[np.int64]
    baseline: float

    def figure(self, outputs: Outputs) -> float:
        """The task's figure of merit of outputs for these samples."""
        return tasks.load(self.task).figure(outputs, self.x, self.labels)


def run(request: Request) -> dict[str, Any]:
    """Run every artifact on the test samples; writes ``verify.json``, ``tensors.json`` and ``golden.npz``.

    ``options``: ``runtimes`` (names wanted by the targets), ``threads``, and ``promises``: what the compression steps
    promised of the weights.
    """
    data = dataset.load(request.inputs["data"])
    exported = request.inputs["export"]
    samples = request.recipe.verify.samples
    x, labels = data.inputs("test", samples), data.targets("test", samples)
    keras = {name: _keras(exported, name) for name in ("baseline", "float", "quantised")}
    baseline = keras["baseline"]
    assert baseline is not None
    judge = tasks.load(data.task)
    try:
        baseline_accuracy = judge.figure(baseline, x, labels)
    except RunnerError as error:
        raise RecipeError(f"verify: {error}", fix="raise verify.samples, or enlarge data.split.test") from error
    truth = Truth(data.task, x, labels, baseline_accuracy)
    files = sorted(path for path in exported.iterdir() if path.name.startswith("model."))
    threads = int(request.options["threads"])

    records, tensors, main_runs = [], {}, []
    for path in files:
        for runtime in request.options["runtimes"]:
            if path.suffix.lstrip(".") != load(runtime).FORMAT:
                continue
            request.progress({"label": "verify", "text": f"{path.name} with {runtime}, {len(x)} samples"})
            ran = _run(path, runtime, x, threads)
            source = "quantised" if ".int8." in path.name and keras["quantised"] is not None else "float"
            reference = keras[source]
            assert reference is not None
            records.append(_record(ran, path, source, reference, truth))
            tensors[f"{path.name}@{runtime}"] = {"inputs": ran.inputs, "outputs": ran.outputs}
            main_runs.append(ran)
    pairs = _pairs(main_runs, exported, x[: request.recipe.verify.pair_samples], threads, data.task, request)
    golden = min(request.recipe.verify.golden, len(x))
    tolerances = {ran.file: tolerance(ran, pairs, golden) for ran in main_runs}
    document = {
        "schema": "edgepack.verify/1",
        "samples": len(x),
        "task": data.task,
        "metric": judge.METRIC,
        "baseline": {judge.METRIC: baseline_accuracy},
        "artifacts": records,
        "pairs": pairs,
        "weights": _weights(files, request.options["promises"]),
    }
    (request.out / "verify.json").write_text(json.dumps(document, indent=1) + "\n")
    (request.out / "tensors.json").write_text(
        json.dumps({"tensors": tensors, "tolerances": tolerances}, indent=1) + "\n"
    )
    arrays = {f"output/{ran.file}/{ran.runtime}": ran.raw[:golden] for ran in main_runs}
    if data.columns:
        arrays["columns"] = np.array([column.name for column in data.columns])
    np.savez(request.out / "golden.npz", input=x[:golden], label=labels[:golden], **arrays)  # type: ignore[arg-type]
    return {"baseline_accuracy": baseline_accuracy}


def _weights(files: list[Path], promises: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the weights of each ``.tflite`` file are, and whether they hold what was promised."""
    records = []
    for path in files:
        if path.suffix == ".tflite":
            stored = weights.weights(path)
            judged = [item.to_dict() for item in weights.judge(stored, promises, artifact=path.name)]
            records.append({"file": path.name, **weights.summary(stored), "gates": judged})
    return records


def tolerance(ran: Ran, pairs: list[dict[str, Any]], golden: int) -> dict[str, float]:
    """How far another machine may be from the golden outputs of an artifact.

    Integer kernels round differently, and a deep network adds that up, so the limit for int8 is what LiteRT's own
    kernels differ by on this model, measured here, and one step of the output; for float it is rounding. Dynamic range
    rounds activations inside, and has float outputs: what its kernels differ by, and rounding.
    """
    one_sample = 1.0 / golden
    scale = ran.outputs[0]["scale"]
    own = [pair for pair in pairs if pair["yardstick"] and _precision(pair["a"]["file"]) == _precision(ran.file)]
    widest = max((pair["max_abs_difference"] for pair in own), default=16 * scale if scale else 0.0)
    least = min((pair["top1_agreement"] for pair in own), default=1.0)
    step = scale or parity.float_limit(ran.real)
    return {"max_abs": widest + step, "top1": max(0.0, round(least - one_sample, 6))}


def _precision(file: str) -> str:
    return file.split(".")[1]


def _run(path: Path, runtime: str, x: Outputs, threads: int, **options: Any) -> Ran:
    try:
        session = open_session(runtime, path, threads, **options)
    except RunnerError as first:
        # An accelerator's runtime cannot start on a machine without it: the same file is then proved with the
        # host's runtime for its format, and `details` says so.
        try:
            session = open_session(for_file(path), path, threads)
        except RunnerError as error:
            raise VerificationError(f"{path.name} does not load: {first}", fix="see the log of the export") from error
    with session:
        raw, real = predict(session, x)
        details = dict(session.details)
        inputs = [spec.to_dict() for spec in session.inputs]
        outputs = [spec.to_dict() for spec in session.outputs]
    if not np.isfinite(real).all():
        raise VerificationError(
            f"{path.name} under {runtime} gives NaN or infinity for {int((~np.isfinite(real)).any(-1).sum())} samples",
            fix="look for divisions, logarithms or overflows in the model",
        )
    return Ran(path.name, runtime, options.get("kernels"), raw, real, details, inputs, outputs)


def _keras(folder: Path, name: str) -> Outputs | None:
    path = folder / f"keras.{name}.npy"
    return np.load(path, allow_pickle=False) if path.exists() else None


def _record(ran: Ran, path: Path, source: str, reference: Outputs, truth: Truth) -> dict[str, Any]:
    difference = parity.compare(reference, ran.real, task=truth.task, inputs=truth.x)
    own = truth.figure(ran.real)
    same = ".float32." not in ran.file or difference.max_abs <= parity.float_limit(reference)
    reasons = [] if same else [f"differs from Keras by up to {difference.max_abs:.3g}: more than float rounding"]
    return {
        "file": ran.file,
        "runtime": ran.runtime,
        "source": source,
        "size_bytes": path.stat().st_size,
        "accuracy": own,
        "source_accuracy": truth.figure(reference),
        "drop": truth.baseline - own,
        "top1_agreement": difference.top1_agreement,
        "max_abs_error": difference.max_abs,
        "max_abs_limit": parity.float_limit(reference) if ".float32." in ran.file else None,
        "sqnr_db": difference.sqnr_db,
        "details": ran.details,
        "status": "ok" if same else "failed",
        "reasons": reasons,
    }


def _pairs(
    runs: list[Ran], folder: Path, x: Outputs, threads: int, task: str, request: Request
) -> list[dict[str, Any]]:
    """Compare runtimes with each other, and LiteRT's kernels among themselves as the yardstick where they round."""
    pairs = []
    by_key = {(ran.file, ran.runtime): ran for ran in runs}
    for precision in sorted({_precision(ran.file) for ran in runs}):
        lite = by_key.get((f"model.{precision}.tflite", "litert"))
        onnx = next((r for r in runs if r.file == f"model.{precision}.onnx"), None)
        own: list[dict[str, Any]] = []
        if lite is not None and precision in YARDSTICKS:
            kernels = {"xnnpack": lite}
            for name in dict.fromkeys(name for pair in YARDSTICKS[precision] for name in pair if name != "xnnpack"):
                request.progress(
                    {"label": "verify", "text": f"{lite.file} with LiteRT's {name} kernels, {len(x)} samples"}
                )
                kernels[name] = _run(folder / lite.file, "litert", x, threads, kernels=name)
            for first, second in YARDSTICKS[precision]:
                pair = _pair(kernels[first], kernels[second], x, task, first=first, second=second, yardstick=True)
                own.append(pair)
        if lite is not None and onnx is not None:
            pair = _pair(lite, onnx, x, task, first="xnnpack", second=None, yardstick=False)
            if own:
                pair["status"] = "ok" if _as_close(pair, own) else "failed"
            own.append(pair)
        pairs.extend(own)
    return pairs


def _pair(a: Ran, b: Ran, x: Outputs, task: str, *, first: str, second: str | None, yardstick: bool) -> dict[str, Any]:
    difference = parity.compare(a.real[: len(x)], b.real[: len(x)], task=task, inputs=x)
    scale = a.outputs[0]["scale"]
    return {
        "a": {"file": a.file, "runtime": a.runtime, "kernels": first},
        "b": {"file": b.file, "runtime": b.runtime, "kernels": second},
        "samples": difference.samples,
        "top1_agreement": difference.top1_agreement,
        "max_abs_difference": difference.max_abs,
        "max_lsb_difference": round(difference.max_abs / scale) if scale else None,
        "yardstick": yardstick,
        "status": None,
    }


def _as_close(pair: dict[str, Any], own: list[dict[str, Any]]) -> bool:
    """True when two runtimes agree at least as well as the least agreeing two of LiteRT's own sets of kernels."""
    return bool(
        pair["top1_agreement"] >= min(item["top1_agreement"] for item in own)
        and pair["max_abs_difference"] <= max(item["max_abs_difference"] for item in own) + 1e-9
    )
