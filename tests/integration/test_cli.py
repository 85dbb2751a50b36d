"""Does every verb do its work on a small real run, and print what scripts rely on?"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from support import ROOT, Edgepack, Finished, read_json

from edgepack.runner.sessions import open_session
from edgepack.store import file_digest

pytest_plugins = ["small"]

BUNDLE = Path("out/small/linux-amd64-cpu")


def document(done: Finished) -> Any:
    """Standard output as one JSON document; anything else on it, or a failure, is an error."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_plan_prints_yaml_and_json_of_the_same_plan(edgepack: Edgepack, small_run: Path) -> None:
    words = ["plan", "recipe.yaml", "--set", "training.epochs=7", "--target", "android-arm64"]
    plan = document(edgepack(*words, "--json", cwd=small_run))
    done = edgepack(*words, cwd=small_run)
    assert YAML(typ="safe").load(done.stdout) == plan
    assert plan["schema"] == "edgepack.plan/1"
    assert plan["recipe"]["training"]["epochs"] == 7
    assert plan["recipe"]["training"]["batch_size"] == 64
    assert plan["artifacts"] == {"android-arm64": ["model.float32.tflite"]}
    assert plan["run_folder"] == "out/small"


def test_plan_says_what_a_run_records(edgepack: Edgepack, small_run: Path) -> None:
    plan = document(edgepack("plan", "recipe.yaml", "--json", cwd=small_run))
    record = read_json(small_run / "out/small/run.json")
    assert record["recipe_sha256"] == plan["recipe_sha256"]
    assert record["recipe"] == plan["recipe"]


def test_lr_find_tests_rates_and_suggests_one_that_learns(edgepack: Edgepack, small_run: Path, tmp_path: Path) -> None:
    words = ["lr-find", "recipe.yaml", "--low", "1e-5", "--steps", "120", "--out", tmp_path]
    found = document(edgepack(*words, "--json", cwd=small_run))
    assert found["rates"][0] == pytest.approx(1e-5)
    assert found["rates"] == sorted(found["rates"])
    assert 1e-3 < found["suggested"] < found["bound"] <= 1.0
    assert min(found["smoothed"]) < 0.9 * found["smoothed"][0]
    done = edgepack(*words, cwd=small_run)
    assert f"learning_rate: {found['suggested']:.1e}" in done.stdout
    (curve,) = tmp_path.glob("small/cache/lr_find-*/lr-find.svg")
    assert str(curve) in done.stdout
    assert "<svg" in curve.read_text()
    wrong = edgepack("lr-find", "recipe.yaml", "--low", "2", cwd=small_run)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "expected 0 < low < high" in wrong.stderr


def test_doctor_examines_the_machine(edgepack: Edgepack, tmp_path: Path) -> None:
    checks = {item["name"]: item for item in document(edgepack("doctor", "--json", cwd=tmp_path))["checks"]}
    for name in ("python", "tensorflow", "onnxruntime", "ai-edge-litert", "disk"):
        assert checks[name]["status"] == "ok"
    assert {"container engine", "emulation", "accelerators"} <= set(checks)
    done = edgepack("doctor", cwd=tmp_path, env={"DOCKER_HOST": "unix:///nonexistent", "COLUMNS": "200"})
    assert done.returncode == 0
    assert re.search(r"✗\s+container engine\s+no container engine answers at unix:///nonexistent", done.stdout)


@pytest.mark.parametrize("what", ["file", "recipe"])
def test_doctor_examines_every_layer_of_a_model(edgepack: Edgepack, small_run: Path, models: Path, what: str) -> None:
    path = models / "digits.keras" if what == "file" else small_run / "recipe.yaml"
    words = ["doctor", path, *(["--json"] if what == "file" else [])]
    done = edgepack(*words, cwd=small_run)
    if what == "file":
        examined = document(done)
        found = {row["layer"]: row for row in examined["layers"]}
        assert examined["rewrites"] == [] and all(row["rewrite"] == [] for row in found.values())
        assert found["conv"]["quantisation"] == "quantised"
        assert found["classifier"]["pruning"] == "pruned"
        assert found["relu"]["pruning"] != "pruned" and found["relu"]["pruning_reason"]
    else:
        assert done.returncode == 0, done.stderr
        assert "conv0" in done.stdout and "classifier" in done.stdout and " layers: " in done.stdout


def test_targets_are_listed_and_explained(edgepack: Edgepack) -> None:
    listed = document(edgepack("targets", "--json"))
    assert {"linux-amd64-cpu", "linux-arm64-cpu", "android-arm64", "nvidia-gpu"} <= {item["name"] for item in listed}
    text = edgepack("targets").stdout
    assert all(item["name"] in text for item in listed)
    one = document(edgepack("targets", "linux-amd64-cpu", "--json"))
    assert one in listed
    text = edgepack("targets", "linux-amd64-cpu", env={"COLUMNS": "200"}).stdout
    for field in ("platform", "runtimes", "image.base", "budgets.image_mib"):
        assert f"\n{field} " in text
    assert "inference threads, always explicit" in text
    text = edgepack("targets", "ethos-u55", env={"COLUMNS": "200"}).stdout
    assert re.search(r"^firmware.accelerator +ethos-u55-128 ", text, re.MULTILINE)


def test_models_are_listed_and_explained(edgepack: Edgepack) -> None:
    listed = document(edgepack("models", "--json"))["models"]
    assert {"mobilenet_v2", "resnet8", "mlp"} <= {item["zoo"] for item in listed}
    text = edgepack("models", env={"COLUMNS": "200"}).stdout
    assert re.search(r"^resnet8 +ResNet-8 +32x32x3 +10 +78,666 +12\.5 +303\.5 +76\.9$", text, re.MULTILINE)
    one = document(edgepack("models", "mobilenet_v3", "--json"))
    assert one["models"] == [item for item in listed if item["zoo"] == "mobilenet_v3"]
    assert {item["key"]: item["default"] for item in one["keys"]}["size"] == "small"
    text = edgepack("models", "mobilenet_v3", env={"COLUMNS": "200"}).stdout
    assert re.search(r"^minimalistic +False +no squeeze-and-excite", text, re.MULTILINE)


def test_models_are_counted_for_other_samples(edgepack: Edgepack) -> None:
    words = ["models", "mlp", "--input", "30", "--classes", "3", "--set", "units=[5]"]
    (found,) = document(edgepack(*words, "--json"))["models"]
    assert (found["parameters"], found["macs"]) == (30 * 5 + 5 + 5 * 3 + 3, 30 * 5 + 5 * 3)
    assert (found["input_shape"], found["classes"], found["args"]) == ([30], 3, {"units": [5]})
    (small,) = document(edgepack("models", "mobilenet_v2", "--input", "9x9", "--json"))["models"]
    assert small["parameters"] is None and "cannot be built for samples of shape (9, 9)" in small["reason"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlp", "--set", "unit=3"], "argument 'unit' of 'mlp' is not accepted (did you mean 'units'?)"),
        (["--set", "width=0.5"], "--set needs an architecture"),
        (["mlp", "--set", "units"], "--set expected KEY=VALUE, received 'units'"),
        (["mlp", "--input", "3,4"], "--input expected sizes with x between them, received '3,4'"),
        (["mpl"], "unknown name 'mpl' in zoo"),
    ],
)
def test_wrong_words_about_models_are_refused(edgepack: Edgepack, words: list[str], message: str) -> None:
    done = edgepack("models", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize("of", ["recipe", "target"])
def test_schemas_are_json_schema(edgepack: Edgepack, of: str) -> None:
    schema = document(edgepack("schema", of))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert {"recipe": "targets", "target": "runtimes"}[of] in schema["required"]
    if of == "recipe":
        assert schema["else"] == {"required": ["export"]}  # where the model is no finished files


@pytest.mark.parametrize(
    ("format_", "precision", "dtype", "runtime"),
    [
        ("tflite", "float32", "float32", "litert"),
        ("tflite", "int8", "int8", "litert"),
        ("onnx", "float32", "float32", "onnxruntime"),
        ("onnx", "int8", "uint8", "onnxruntime"),
    ],
)
def test_convert_writes_a_file_that_runs(
    edgepack: Edgepack,
    models: Path,
    small_run: Path,
    tmp_path: Path,
    format_: str,
    precision: str,
    dtype: str,
    runtime: str,
) -> None:
    out = tmp_path / "new" / f"model.{format_}"
    words = ["convert", models / "digits.keras", "--format", format_, "--precision", precision, "-o", out, "--json"]
    data = ["--data", small_run / "recipe.yaml"] if precision == "int8" else []
    result = document(edgepack(*words, *data))
    assert result == {"path": str(out), "size_bytes": out.stat().st_size, "sha256": file_digest(out)}
    with open_session(runtime, out) as session:
        (spec,) = session.inputs
        assert (spec.dtype, spec.shape[1:]) == (dtype, (8, 8, 1))
        (result,) = session.run({spec.name: np.zeros((1, 8, 8, 1), dtype)}).values()
        assert result.shape == (1, 10)


def test_convert_takes_samples_from_an_npz_file_and_refuses_others(
    edgepack: Edgepack, models: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "good.npz", x=random.random((40, 8, 8, 1), np.float32), y=np.zeros(40, int))
    np.savez(tmp_path / "wide.npz", x=random.random((40, 9, 9, 1), np.float32), y=np.zeros(40, int))
    words = [
        "convert",
        models / "digits.keras",
        "--format",
        "tflite",
        "--precision",
        "int8",
        "-o",
        tmp_path / "m.tflite",
    ]
    done = edgepack(*words, "--data", tmp_path / "wide.npz")
    assert done.returncode == 2
    assert "takes inputs of shape (8, 8, 1), but the samples of --data have (9, 9, 1)" in done.stderr
    assert not (tmp_path / "m.tflite").exists()
    done = edgepack(*words)
    assert done.returncode == 3 and "int8 needs real samples" in done.stderr
    done = edgepack(*words, "--data", tmp_path / "good.npz")
    assert done.returncode == 0, done.stderr
    assert file_digest(tmp_path / "m.tflite") in done.stdout


def test_verify_finds_a_whole_bundle_good_anywhere(edgepack: Edgepack, bundle: Path, tmp_path: Path) -> None:
    elsewhere = bundle.rename(tmp_path / "copied elsewhere")
    done = edgepack("verify", elsewhere)
    assert done.returncode == 0, done.stderr
    assert "golden   model.float32.onnx with onnxruntime: identical" in done.stdout
    assert "\nverified\n\nnext:\n  edgepack bench " in done.stdout
    result = document(edgepack("verify", elsewhere, "--json"))
    assert {(item["artifact"], item["status"]) for item in result["golden"]} == {
        ("model.float32.onnx", "ok"),
        ("model.float32.tflite", "ok"),
    }


@pytest.mark.parametrize("name", ["model.float32.tflite", "model.float32.onnx", "golden.npz", "verify.json"])
def test_verify_names_the_file_of_which_one_byte_was_altered(edgepack: Edgepack, bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    done = edgepack("verify", bundle, "--json")
    assert done.returncode == 5
    (error,) = json.loads(done.stdout)["errors"]
    assert (error["class"], error["exit_code"]) == ("VerificationError", 5)
    assert error["message"] == f"{bundle}: {name} was altered: its sha256 is not the manifest's"


def test_verify_names_the_part_of_the_manifest_that_was_edited(edgepack: Edgepack, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["preprocessing"]["scale"] = 2.0
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=1))
    done = edgepack("verify", bundle, "--json")
    assert done.returncode == 5
    (error,) = json.loads(done.stdout)["errors"]
    assert error["message"] == f"{bundle}: manifest.json was edited: 'preprocessing'"


def test_verify_notices_swapped_golden_samples(edgepack: Edgepack, bundle: Path) -> None:
    """Golden samples of another order, in a bundle whose digests are all right."""
    from edgepack.bundle import seal

    with np.load(bundle / "golden.npz") as archive:
        arrays = dict(archive)
    arrays["input"] = arrays["input"][::-1]
    np.savez(bundle / "golden.npz", **arrays)
    seal(bundle)
    done = edgepack("verify", bundle)
    assert done.returncode == 5
    assert "model.float32.onnx with onnxruntime" in done.stderr


def test_verify_notices_outputs_that_differ(edgepack: Edgepack, bundle: Path) -> None:
    """Golden outputs that the model does not give, in a bundle whose digests are all right."""
    from edgepack.bundle import seal

    with np.load(bundle / "golden.npz") as archive:
        arrays = dict(archive)
    key = "output/model.float32.onnx/onnxruntime"
    arrays[key] = arrays[key][:, ::-1]
    np.savez(bundle / "golden.npz", **arrays)
    seal(bundle)
    done = edgepack("verify", bundle)
    assert done.returncode == 5
    assert "model.float32.onnx with onnxruntime" in done.stderr
    assert "model.float32.tflite" not in done.stderr


def test_report_writes_three_files(edgepack: Edgepack, work: Path) -> None:
    done = edgepack("report", "out/small", cwd=work)
    assert done.returncode == 0, done.stderr
    names = [Path(line) for line in done.stdout.splitlines()]
    assert [path.name for path in names] == ["report.html", "report.md", "report.json"]
    assert "linux-amd64-cpu" in (work / names[1]).read_text()
    assert "<svg" in (work / names[0]).read_text()
    report = document(edgepack("report", "out/small", "--json", cwd=work))
    assert report == read_json(work / "out/small/report.json")


def test_bench_measures_a_file_and_a_bundle(edgepack: Edgepack, small_run: Path) -> None:
    words = ["bench", BUNDLE / "model.float32.tflite", "--on", "local", "--threads", "2", "--quick", "--json"]
    measured = document(edgepack(*words, cwd=small_run))
    assert measured["schema"] == "edgepack.latency/1"
    (result,) = measured["results"]
    assert (result["runtime"], result["threads"], result["status"]) == ("litert", 2, "ok")
    assert result["sha256"] == file_digest(small_run / BUNDLE / "model.float32.tflite")
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p90"] <= result["latency_ms"]["p99"]
    assert 0 < len(result["samples_ns"]) <= result["runs"]
    before = (small_run / BUNDLE / "manifest.json").read_bytes()
    done = edgepack("bench", BUNDLE, "--runtime", "onnxruntime", "--quick", cwd=small_run, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert "model.float32.onnx" in done.stdout and "litert" not in done.stdout
    assert (small_run / BUNDLE / "manifest.json").read_bytes() == before


def test_run_prints_one_document_and_nothing_else_where_json_was_asked_for(edgepack: Edgepack, work: Path) -> None:
    words = ["run", "recipe.yaml", "--json", "--to", "report", "--set", "name=small"]
    first = document(edgepack(*words, cwd=work, env={"DOCKER_HOST": "unix:///nonexistent"}))
    assert (first["schema"], first["errors"], first["worked"]) == ("edgepack.result/1", [], True)
    assert first["folder"] == "out/small"
    assert first["report"] == read_json(work / "out/small/report.json")
    second = document(edgepack(*words, cwd=work, env={"DOCKER_HOST": "unix:///nonexistent"}))
    assert second["worked"] is False
    assert edgepack("verify", BUNDLE, cwd=work).returncode == 0


def test_one_stage_can_be_run_again(edgepack: Edgepack, work: Path) -> None:
    before = file_digest(work / BUNDLE / "model.float32.tflite")
    done = edgepack("run", "recipe.yaml", "--from", "verify", "--to", "verify", cwd=work)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stderr.splitlines() if "✓" in line]
    assert {line[1]: line[-3:] == ["up", "to", "date"] for line in lines} == {
        "data": True,
        "train": True,
        "footprint": True,
        "export": True,
        "verify": False,
        "bundle": True,
    }
    assert file_digest(work / BUNDLE / "model.float32.tflite") == before


def test_the_help_names_a_recipe_that_is_there() -> None:
    assert (ROOT / "examples/digits/recipe.yaml").is_file()
