"""Does the demo give what the README promises, in the files and not only in the log?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import Edgepack, digests, read_json

ARTIFACTS = ("model.float32.tflite", "model.int8.tflite", "model.float32.onnx", "model.int8.onnx")


def test_ends_with_the_table_the_report_and_the_next_commands(digits_out: Path) -> None:
    shown = (digits_out / "stdout.txt").read_text()
    for artifact in ARTIFACTS:
        assert artifact.removeprefix("model.") in shown
    assert f"report: {digits_out / 'digits' / 'report.html'}" in shown
    assert "edgepack verify" in shown.partition("next:")[2]


def test_bundle_holds_every_file_and_the_manifest_lists_each(digits_bundle: Path) -> None:
    manifest = read_json(digits_bundle / "manifest.json")
    present = {str(p.relative_to(digits_bundle)) for p in digits_bundle.rglob("*") if p.is_file()}
    assert present == {*manifest["files"], "manifest.json"}
    assert {*ARTIFACTS, "golden.npz", "verify.json", "latency.json", "image/image.json"} <= present
    assert digests(digits_bundle, list(manifest["files"])) == manifest["files"]
    assert manifest["labels"] == [str(digit) for digit in range(10)]
    assert manifest["preprocessing"] == {"scale": 0.0625, "offset": 0.0}
    assert [step["stage"] for step in manifest["artifacts"][0]["lineage"]] == [
        "data", "train", "compress", "compress", "export",
    ]  # fmt: skip


def test_accuracy_is_that_of_a_model_that_learned(digits_bundle: Path) -> None:
    verification = read_json(digits_bundle / "verify.json")
    assert verification["samples"] == 270
    assert verification["baseline"]["accuracy"] > 0.93
    for record in verification["artifacts"]:
        assert record["status"] == "ok"
        assert record["accuracy"] > 0.93
        assert record["drop"] == pytest.approx(verification["baseline"]["accuracy"] - record["accuracy"])


@pytest.mark.filterwarnings("ignore")  # of the libraries that load a model
def test_each_step_begins_with_the_accuracy_of_the_model_that_it_was_given(digits_run: Path) -> None:
    from edgepack import dataset
    from edgepack.keras_models.load import load
    from edgepack.training.fit import evaluate

    run = read_json(digits_run / "run.json")
    data = dataset.load(next((digits_run / "cache").glob("data-*")))
    given = [next((digits_run / "cache").glob(stage)) for stage in ("train-*", "compress-*prune-*")]
    assert [step["use"] for step in run["steps"]] == ["prune", "qat"]
    for step, folder in zip(run["steps"], given, strict=True):
        real = evaluate(load(folder / "model.h5"), data)["val_accuracy"]
        assert step["metrics"]["val_accuracy_before"] == pytest.approx(real), step["use"]


def test_int8_tflite_is_int8_throughout_and_half_zero(digits_bundle: Path) -> None:
    interpreter = _interpreter(digits_bundle / "model.int8.tflite")
    details = interpreter.get_tensor_details()
    assert not [d["name"] for d in details if d["dtype"] == np.float32]
    kernels = [d for d in details if d["dtype"] == np.int8 and "Conv2D" in d["name"] and d["shape"].size == 4]
    kernels = [d for d in kernels if len(d["quantization_parameters"]["scales"]) > 1]
    assert len(kernels) == 2
    for detail in kernels:
        weights = interpreter.get_tensor(detail["index"])
        assert np.mean(weights == 0) >= 0.49, detail["name"]


def test_activation_ranges_moved_away_from_where_tfmot_starts_them(digits_bundle: Path) -> None:
    interpreter = _interpreter(digits_bundle / "model.int8.tflite")
    scales = [
        float(d["quantization"][0])
        for d in interpreter.get_tensor_details()
        if d["dtype"] == np.int8 and len(d["quantization_parameters"]["scales"]) == 1
    ]
    assert len(scales) >= 5
    assert not [scale for scale in scales if scale == pytest.approx(12 / 255, rel=0.03)]


def test_int8_onnx_holds_the_weights_of_the_tflite(digits_bundle: Path) -> None:
    import onnx
    from onnx import numpy_helper

    from edgepack.onnx_models.integer import require_int8_weights

    model = onnx.load(digits_bundle / "model.int8.onnx")
    require_int8_weights(model)
    interpreter = _interpreter(digits_bundle / "model.int8.tflite")
    lite = {
        np.sort(interpreter.get_tensor(d["index"]), axis=None).tobytes()
        for d in interpreter.get_tensor_details()
        if d["dtype"] == np.int8 and "ReadVariableOp" not in d["name"] and len(d["shape"]) == 4 and d["shape"][0] > 1
    }
    tensors = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    own = {np.sort(t, axis=None).tobytes() for t in tensors if t.dtype == np.int8 and t.ndim == 4}
    assert own
    assert own <= lite


def test_runtimes_agree_as_well_as_litert_agrees_with_itself(digits_bundle: Path) -> None:
    pairs = read_json(digits_bundle / "verify.json")["pairs"]
    own = [pair for pair in pairs if pair["yardstick"]]
    across = [
        pair for pair in pairs if (pair["a"]["file"], pair["b"]["file"]) == ("model.int8.tflite", "model.int8.onnx")
    ]
    assert {(p["a"]["kernels"], p["b"]["kernels"]) for p in own} >= {("xnnpack", "reference")}
    assert len(across) == 1
    assert across[0]["status"] == "ok"
    assert across[0]["top1_agreement"] >= min(pair["top1_agreement"] for pair in own)
    assert across[0]["max_abs_difference"] <= max(pair["max_abs_difference"] for pair in own)


def test_every_way_of_computing_the_model_is_compared_with_where_it_comes_from(digits_bundle: Path) -> None:
    document = read_json(digits_bundle / "verify.json")
    sides = {(pair["a"]["file"], pair["b"]["file"]): pair for pair in document["pairs"] if not pair["yardstick"]}
    for file in ARTIFACTS:
        assert ("float", file) in sides
        assert (("quantised", file) in sides) is ("int8" in file)
    own = {record["file"]: record["accuracy"] for record in document["artifacts"]}
    for (_, file), pair in sides.items():
        if file in own:
            assert pair["b"]["accuracy"] == own[file]
    fidelity = sides["float", "quantised"]["sqnr_db"]
    assert 10 < fidelity < 60
    # The .tflite is what training with fake quantisation promised, to a rounding: far closer than to the float model.
    assert sides["quantised", "model.int8.tflite"]["sqnr_db"] > fidelity


def test_the_runtimes_say_what_computes_in_integers(digits_bundle: Path) -> None:
    records = read_json(digits_bundle / "verify.json")["artifacts"]
    details = {record["file"]: record["details"] for record in records}
    assert set(details) == set(ARTIFACTS)
    for file in ("model.int8.tflite", "model.int8.onnx"):
        assert details[file]["integer_nodes"] >= 5, details[file]
        assert details[file]["float_nodes"] <= 1, details[file]["in_float"]
    for file in ("model.float32.tflite", "model.float32.onnx"):
        assert details[file]["integer_nodes"] == 0
        assert details[file]["float_nodes"] >= 5


def test_each_layer_of_the_int8_files_gives_the_same_for_the_same_integers(digits_bundle: Path) -> None:
    document = read_json(digits_bundle / "verify.json")
    layers = next(pair["layers"] for pair in document["pairs"] if "layers" in pair)
    assert layers["samples"] == 8
    assert layers["compared"] >= 4  # two convolutions, the classifier, the softmax
    assert layers["largest"] <= layers["limit"] == 1
    gate = next(gate for gate in document["gates"] if gate["gate"] == "layer_parity")
    assert (gate["status"], gate["artifact"]) == ("ok", "model.int8.onnx@onnxruntime")


def test_golden_samples_are_real_test_samples_with_every_output(digits_bundle: Path) -> None:
    with np.load(digits_bundle / "golden.npz") as golden:
        assert golden["input"].shape == (32, 8, 8, 1)
        assert golden["input"].max() == 1.0
        outputs = [name for name in golden.files if name.startswith("output/")]
        assert len(outputs) == len(ARTIFACTS)
        for name in outputs:
            assert golden[name].shape == (32, 10)
            assert np.mean(golden[name].argmax(-1) == golden["label"]) > 0.8


def test_second_run_does_no_work_and_says_so(digits_out: Path, digits_run: Path, edgepack: Edgepack) -> None:
    before = {path: path.stat().st_mtime_ns for path in digits_run.rglob("*") if path.is_file()}
    done = edgepack("run", "examples/digits/recipe.yaml", "--out", digits_out)
    after = {path: path.stat().st_mtime_ns for path in digits_run.rglob("*") if path.is_file()}
    assert done.returncode == 0
    assert "nothing to do: every result was up to date" in done.stderr
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed <= {"run.json", ".lock"}


@pytest.mark.engine
def test_container_and_host_are_bit_identical(digits_bundle: Path) -> None:
    image = read_json(digits_bundle / "image" / "image.json")
    if image["status"] != "built":
        pytest.skip(f"no image was built: {image['reason']}")
    latency = read_json(digits_bundle / "latency.json")
    assert latency["identical"] == {
        f"model.{precision}.{kind}@{runtime}": True
        for precision in ("float32", "int8")
        for kind, runtime in (("tflite", "litert"), ("onnx", "onnxruntime"))
    }
    assert image["size_mib"] < 300
    assert {layer["name"] for layer in image["layers"]} == {"base", "runtime", "runner", "model"}
    assert "tensorflow" not in {package["name"] for package in image["packages"]}


def test_measurements_keep_samples_protocol_and_environment(digits_bundle: Path) -> None:
    latency = read_json(digits_bundle / "latency.json")
    host = latency["host"]
    assert host is not None
    assert len(host["results"]) == len(ARTIFACTS)
    for result in host["results"]:
        assert result["status"] == "ok"
        assert result["threads"] == 1
        assert result["runs"] >= 50
        assert result["latency_ms"]["p50"] <= result["latency_ms"]["p90"] <= result["latency_ms"]["p99"]
        assert len(result["samples_ns"]) > 0
    assert (host["protocol"]["warmup_s"], host["protocol"]["min_time_s"]) == (0.5, 1.0)
    assert host["environment"]["machine"]


def test_report_json_names_every_cell_or_its_reason(digits_run: Path) -> None:
    report = read_json(digits_run / "report.json")
    assert report["schema"] == "edgepack.report/1"
    assert json.dumps(report)
    html = (digits_run / "report.html").read_text()
    assert len(html.encode()) < 2 * 2**20
    assert "<svg" in html


def _interpreter(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    return interpreter
