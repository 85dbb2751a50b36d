"""What does a model cost after a step: how many zeros, which size, which compressed size, how much time?"""

import json
import tempfile
from pathlib import Path
from typing import Any

from edgepack import dataset, extensions
from edgepack.contracts import ExportContext, Int8, Precision
from edgepack.dataset import Dataset
from edgepack.errors import ConversionError
from edgepack.stages.request import COMPRESSION, Request

LIBRARIES = COMPRESSION

RUNTIME = "litert"
FED = 32
"""Validation samples that are fed in turn while time is measured."""


def run(request: Request) -> dict[str, Any]:
    """Convert ``inputs["model"]`` and weigh the file; writes ``model.<precision>.tflite`` and ``footprint.json``.

    What a file weighs is the same each time and is a result that the export builds on. Latency is not: it is among the
    returned figures, which no later stage depends on.

    ``options``: ``precision``, ``quantised`` (whether the model carries fake quantisation), ``calibration_samples``,
    ``threads``, ``int8`` (how such a file is made), ``judged`` (whether the file's accuracy on the
    validation samples is wanted, for a step that is nothing but a file).

    Returns:
        ``latency_ms``: median and 90th percentile; empty where there is no file.
    """
    data = dataset.load(request.inputs["data"])
    precision: Precision = request.options["precision"]
    out = request.out / f"model.{precision}.tflite"
    request.progress({"label": "footprint", "text": f"converting to {precision}"})
    record: dict[str, Any] = {
        "precision": precision,
        "sparsity": None,
        "raw_bytes": None,
        "compressed_bytes": None,
        "val_accuracy": None,
        "reason": None,
    }
    latency: dict[str, Any] = {}
    try:
        _convert(request, data, precision, out)
    except ConversionError as error:
        # A recipe may ask for other formats only; one that asks for this file fails when it is exported.
        record["reason"] = error.message
    else:
        record |= weigh(out.read_bytes())
        if request.options["judged"]:
            record["val_accuracy"] = _accuracy(out, data, request.options["threads"])
        request.progress({"label": "footprint", "text": f"timing {out.name}"})
        latency = _latency(out, data, request)
    (request.out / "footprint.json").write_text(json.dumps(record, indent=1) + "\n")
    return latency


def weigh(content: bytes) -> dict[str, float | int]:
    """``sparsity`` (share of zeros in convolution and dense kernels), ``raw_bytes`` and ``compressed_bytes``."""
    from edgepack.tflite_models.contents import deflated_bytes, sparsity

    return {
        "sparsity": sparsity(content),
        "raw_bytes": len(content),
        "compressed_bytes": deflated_bytes(content),
    }


def _convert(request: Request, data: Dataset, precision: Precision, out: Path) -> None:
    from edgepack.stages.determinism import make_deterministic

    make_deterministic(request.recipe.seed)
    model = request.inputs["model"] / "model.h5"
    format_ = extensions.load("edgepack.formats", "tflite")

    def none(kind: str, precision: Precision) -> Path:
        raise AssertionError("a .tflite file is derived from no other")

    context = ExportContext(
        float_model=model,
        quantised_model=model if request.options["quantised"] else None,
        calibration=data.calibration(request.options["calibration_samples"]),
        other=none,
        name=request.recipe.name,
        labels=data.labels,
        preprocessing=data.preprocessing,
        int8=Int8.from_dict(request.options["int8"]),
    )
    format_.convert(format_.Config(precision=precision), out, context=context)


def _accuracy(path: Path, data: Dataset, threads: int) -> float:
    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import open_session
    from edgepack.runner.tasks import load

    x = data.inputs("validation")
    with open_session(RUNTIME, path, threads) as session:
        _, outputs = predict(session, x)
    return load(data.task).figure(outputs, x, data.targets("validation"))


def _latency(path: Path, data: Dataset, request: Request) -> dict[str, Any]:
    """Measure as `edgepack bench` does, for a shorter time, in a process of its own."""
    import numpy as np

    from edgepack.runner.bundle import Entry
    from edgepack.runner.measure import bench
    from edgepack.runner.sampling import Protocol

    threads = int(request.options["threads"])
    lengths = (0.05, 5, 0.05) if request.smoke else (0.3, 20, 1.0)
    protocol = Protocol(*lengths, max_time_s=3.0, quick=request.smoke)
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.npz"
        np.savez(samples, input=data.inputs("validation", FED))
        entry = Entry(path.name, path, RUNTIME, threads, None, samples, None, None)
        (result,) = bench([entry], protocol)["results"]
    if result["status"] != "ok":
        return {"latency_reason": result["reason"]}
    measured = result["latency_ms"]
    return {"latency_ms": {"p50": measured["p50"], "p90": measured["p90"]}, "threads": threads, "runs": result["runs"]}
