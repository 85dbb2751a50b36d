"""Does every artifact agree with the model it came from and, across runtimes, with itself?"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgepack import dataset
from edgepack.errors import RecipeError
from edgepack.runner import tasks
from edgepack.runner.errors import RunnerError
from edgepack.runner.sessions import load
from edgepack.stages.request import Request
from edgepack.verify import parity, weights
from edgepack.verify.pairs import compare_all
from edgepack.verify.placement import onnxruntime_nodes
from edgepack.verify.runs import Outputs, Ran, Truth, run_file


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
    truth = Truth(data.task, x, labels)
    files = sorted(path for path in exported.iterdir() if path.name.startswith("model."))
    threads = int(request.options["threads"])

    records, tensors, main_runs = [], {}, []
    for path in files:
        for runtime in request.options["runtimes"]:
            if path.suffix.lstrip(".") != load(runtime).FORMAT:
                continue
            request.progress({"label": "verify", "text": f"{path.name} with {runtime}, {len(x)} samples"})
            ran = run_file(path, runtime, x, threads)
            source = "quantised" if ".int8." in path.name and keras["quantised"] is not None else "float"
            reference = keras[source]
            assert reference is not None
            if path.suffix == ".onnx" and "integer_nodes" not in ran.details:  # ONNX Runtime does not say it by itself
                ran.details.update(onnxruntime_nodes(path))
            records.append(_record(ran, path, source, reference, truth, baseline_accuracy))
            tensors[f"{path.name}@{runtime}"] = {"inputs": ran.inputs, "outputs": ran.outputs}
            main_runs.append(ran)
    pairs = compare_all(
        main_runs,
        {name: keras[name] for name in ("float", "quantised")},
        exported,
        truth.first(request.recipe.verify.pair_samples),
        layer_samples=request.recipe.verify.layer_samples,
        threads=threads,
        progress=request.progress,
    )
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
    own = [pair for pair in pairs if pair["yardstick"] and pair["a"]["file"].split(".")[1] == ran.precision]
    widest = max((pair["max_abs_difference"] for pair in own), default=16 * scale if scale else 0.0)
    least = min((pair["top1_agreement"] for pair in own), default=1.0)
    step = scale or parity.float_limit(ran.real)
    return {"max_abs": widest + step, "top1": max(0.0, round(least - one_sample, 6))}


def _keras(folder: Path, name: str) -> Outputs | None:
    path = folder / f"keras.{name}.npy"
    return np.load(path, allow_pickle=False) if path.exists() else None


def _record(ran: Ran, path: Path, source: str, reference: Outputs, truth: Truth, baseline: float) -> dict[str, Any]:
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
        "drop": baseline - own,
        "top1_agreement": difference.top1_agreement,
        "max_abs_error": difference.max_abs,
        "max_abs_limit": parity.float_limit(reference) if ".float32." in ran.file else None,
        "sqnr_db": difference.sqnr_db,
        "details": ran.details,
        "status": "ok" if same else "failed",
        "reasons": reasons,
    }
