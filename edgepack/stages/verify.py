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
from edgepack.verify import parity, sources, weights
from edgepack.verify.pairs import compare_all
from edgepack.verify.placement import onnxruntime_nodes
from edgepack.verify.runs import Ran, Truth, run_file
from edgepack.verify.sources import Sources


def run(request: Request) -> dict[str, Any]:
    """Run every artifact on the test samples; writes ``verify.json``, ``tensors.json`` and ``golden.npz``.

    ``options``: ``runtimes`` (names wanted by the targets), ``threads``, and ``promises``: what the compression steps
    promised of the weights.
    """
    data = dataset.load(request.inputs["data"])
    exported = request.inputs["export"]
    samples = request.recipe.verify.samples
    x, labels = data.inputs("test", samples), data.targets("test", samples)
    threads, runtimes = int(request.options["threads"]), request.options["runtimes"]
    found = sources.find(exported, runtimes, x, threads)
    judge = tasks.load(data.task)
    try:
        baseline = judge.figure(found.baseline.outputs, x, labels) if found.baseline else None
    except RunnerError as error:
        raise RecipeError(f"verify: {error}", fix="raise verify.samples, or enlarge data.split.test") from error
    truth = Truth(data.task, x, labels)
    files = sorted(path for path in exported.iterdir() if path.name.startswith("model."))
    records, tensors, main_runs = [], {}, []
    for path in files:
        for runtime in runtimes:
            if path.suffix.lstrip(".") != load(runtime).FORMAT:
                continue
            request.progress({"label": "verify", "text": f"{path.name} with {runtime}, {len(x)} samples"})
            again = found.ran is not None and (found.ran.file, found.ran.runtime) == (path.name, runtime)
            ran = found.ran if found.ran is not None and again else run_file(path, runtime, x, threads)
            if path.suffix == ".onnx" and "integer_nodes" not in ran.details:  # ONNX Runtime does not say it by itself
                ran.details.update(onnxruntime_nodes(path))
            records.append(_record(ran, path, found, truth, baseline))
            tensors[f"{path.name}@{runtime}"] = {"inputs": ran.inputs, "outputs": ran.outputs}
            main_runs.append(ran)
    pairs = compare_all(
        main_runs,
        found,
        exported,
        truth.first(request.recipe.verify.pair_samples),
        layer_samples=request.recipe.verify.layer_samples,
        threads=threads,
        progress=request.progress,
    )
    golden = min(request.recipe.verify.golden, len(x))
    tolerances = {ran.file: tolerance(ran, pairs, golden, made_here=found.made_here) for ran in main_runs}
    missing = {} if found.baseline else {"reason": found.reason}
    of_file = {"file": found.baseline.name} if found.baseline and not found.made_here else {}
    document = {
        "schema": "edgepack.verify/1",
        "samples": len(x),
        "task": data.task,
        "metric": judge.METRIC,
        "baseline": {judge.METRIC: baseline, **of_file, **missing},
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
    return {"baseline_accuracy": baseline}


def _weights(files: list[Path], promises: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the weights of each ``.tflite`` file are, and whether they hold what was promised."""
    records = []
    for path in files:
        if path.suffix == ".tflite":
            stored = weights.weights(path)
            judged = [item.to_dict() for item in weights.judge(stored, promises, artifact=path.name)]
            records.append({"file": path.name, **weights.summary(stored), "gates": judged})
    return records


def tolerance(ran: Ran, pairs: list[dict[str, Any]], golden: int, *, made_here: bool = True) -> dict[str, float]:
    """How far another machine may be from the golden outputs of an artifact.

    Integer kernels round differently, and a deep network adds that up, so the limit for int8 is what LiteRT's own
    kernels differ by on this model, measured here, and one step of the output; for float it is rounding. Dynamic range
    rounds activations inside, and has float outputs: what its kernels differ by, and rounding. Of files that were not
    ``made_here`` each has the measure of its own kernels alone; integers with float outputs and no such measure count
    as if the outputs seen were 8 bits.
    """
    one_sample = 1.0 / golden
    scale = ran.outputs[0]["scale"]
    own = [
        pair
        for pair in pairs
        if pair["yardstick"]
        and pair["a"]["file"].split(".")[1] == ran.precision
        and (made_here or pair["a"]["file"] == ran.file)
    ]
    seen = float(np.ptp(ran.real)) / 255 if ran.precision == "int8" and not made_here else 0.0
    widest = max((pair["max_abs_difference"] for pair in own), default=16 * (scale or seen))
    least = min((pair["top1_agreement"] for pair in own), default=1.0)
    step = scale or parity.float_limit(ran.real)
    return {"max_abs": widest + step, "top1": max(0.0, round(least - one_sample, 6))}


def _record(ran: Ran, path: Path, found: Sources, truth: Truth, baseline: float | None) -> dict[str, Any]:
    """What verification says of an artifact in a runtime; figures that need a source are None where there is none."""
    source, own = found.of(ran.file), truth.figure(ran.real)
    drop = None if baseline is None else baseline - own
    difference = parity.compare(source.outputs, ran.real, task=truth.task, inputs=truth.x) if source else None
    # Two float32 files of unknown origin need not be the same model: only what Keras' model became is held to it.
    limit = parity.float_limit(source.outputs) if source and found.made_here and ".float32." in ran.file else None
    same = limit is None or difference is None or difference.max_abs <= limit
    return {
        "file": ran.file,
        "runtime": ran.runtime,
        "source": source.name if source else None,
        "size_bytes": path.stat().st_size,
        "accuracy": own,
        "source_accuracy": truth.figure(source.outputs) if source else None,
        "drop": drop,
        "top1_agreement": difference.top1_agreement if difference else None,
        "max_abs_error": difference.max_abs if difference else None,
        "max_abs_limit": limit,
        "sqnr_db": difference.sqnr_db if difference else None,
        "details": ran.details,
        "status": "ok" if same else "failed",
        "reasons": []
        if same or difference is None
        else [f"differs from Keras by up to {difference.max_abs:.3g}: more than float rounding"],
    }
