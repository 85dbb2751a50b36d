"""Do a container's golden outputs appear as pairs beside all others, with what they ran on?"""

import json
from pathlib import Path

from edgepack.report import collect
from edgepack.report.collect_container import container_pairs

MANIFEST = {
    "golden": {"samples": 32},
    "artifacts": [
        {"file": "model.int8.tflite", "outputs": [{"scale": 0.25}]},
        {"file": "model.float32.onnx", "outputs": [{"scale": None}]},
    ],
}


def latency(**environment: object) -> dict[str, object]:
    results = [
        {"artifact": "model.int8.tflite", "runtime": "litert", "max_abs_difference": 0.5, "status": "ok"},
        {"artifact": "model.float32.onnx", "runtime": "onnxruntime", "max_abs_difference": None, "status": "error"},
    ]
    return {"golden": {"environment": environment, "results": results}}


def test_each_result_is_a_pair_in_units_of_the_outputs_scale() -> None:
    integer, crashed = container_pairs(MANIFEST, latency(emulated=True, machine="aarch64"))
    assert (integer.a.kernels, integer.b.kernels) == ("on the host", "in the container, emulated aarch64")
    assert (integer.samples, integer.max_abs_difference, integer.max_lsb_difference) == (32, 0.5, 2.0)
    assert (integer.status, crashed.status, crashed.max_lsb_difference) == ("ok", None, None)
    (plain, _) = container_pairs(MANIFEST, latency(emulated=False, machine="x86_64"))
    assert plain.b.kernels == "in the container"
    assert container_pairs({}, {}) == ()


def test_a_run_shows_them_in_its_matrix(run: Path) -> None:
    path = next(run.glob("*/latency.json"))
    document = json.loads(path.read_text()) | latency(emulated=False)
    path.write_text(json.dumps(document))
    (target,) = collect(run).targets
    assert [pair.b.file for pair in target.pairs if pair.b.kernels == "in the container"] == [
        "model.int8.tflite",
        "model.float32.onnx",
    ]
