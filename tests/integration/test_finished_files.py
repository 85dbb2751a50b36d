"""Do files that other tools made get the same bundle, proof and report, and clear sentences when they cannot?"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, TIMEOUT_S, Edgepack, read_json

from edgepack import history
from edgepack.errors import RecipeError
from edgepack.formats import onnx, tflite
from edgepack.store import file_digest
from edgepack.tf_environment import environment
from edgepack.trackers._finished import finished_run

RECIPE = """\
name: theirs
data: {sklearn: digits, image_shape: [8, 8, 1], preprocessing: {scale: 0.0625}}
model:
  artifacts: [int8.tflite, QDQ.onnx, float32.onnx]
targets: [linux-amd64-cpu]
gates: {min_accuracy: 0.9, max_accuracy_drop: 0.02, min_top1_agreement: 0.9}
bench: {warmup_s: 0, min_runs: 5, min_time_s: 0}
"""
BUNDLE = "out/theirs/linux-amd64-cpu"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files as other tools make them; read only."""
    folder = tmp_path_factory.mktemp("foreign")
    script = Path(__file__).with_name("foreign_files.py")
    with (folder / "log").open("w") as log:
        subprocess.run(
            [sys.executable, script],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=log,
            timeout=TIMEOUT_S,
            check=True,
        )
    return folder


@pytest.fixture(scope="module")
def finished(files: Path, tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Path:
    """A folder with three files and the results of a whole run; read only."""
    folder = tmp_path_factory.mktemp("finished")
    for name in ("int8.tflite", "QDQ.onnx", "float32.onnx"):
        shutil.copy(files / name, folder)
    (folder / "recipe.yaml").write_text(RECIPE)
    done = edgepack("run", "recipe.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    for stage in ("train", "compress", "export"):
        assert re.search(rf"– {stage} +skipped: the model is finished files", done.stderr)
    return folder


def test_what_a_run_measured_is_in_the_history_of_its_folder(finished: Path) -> None:
    records = history.read(finished / "out/theirs/history")
    on_this_host = [record for record in records if record["device"]["address"] == "local"]
    files = [artifact["file"] for artifact in read_json(finished / BUNDLE / "manifest.json")["artifacts"]]
    assert {record["lineage"] for record in on_this_host} == {f"theirs/linux-amd64-cpu/{name}" for name in files}
    assert all("short" in record["flags"] for record in records)


def changed(folder: Path, old: str, new: str) -> str:
    """Write the recipe with one text replaced."""
    assert RECIPE.count(old) == 1
    (folder / "changed.yaml").write_text(RECIPE.replace(old, new))
    return "changed.yaml"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("float32.tflite", "float32"),
        ("float16.tflite", "float16"),
        ("dynamic_range.tflite", "dynamic_range"),
        ("int8.tflite", "int8"),
        ("uint8.tflite", "int8"),
        ("float_ends.tflite", "int8"),
        ("int16x8.tflite", "int16x8"),
        ("float32.onnx", "float32"),
        ("channels_first.onnx", "float32"),
        ("QDQ.onnx", "int8"),
        ("QOperator.onnx", "int8"),
        ("dynamic_range.onnx", "dynamic_range"),
    ],
)
def test_number_formats_are_read_off_the_files(files: Path, name: str, expected: str) -> None:
    format_ = tflite if name.endswith("tflite") else onnx
    assert format_.precision_of(files / name) == expected


def test_our_own_files_are_what_their_names_say(digits_bundle: Path) -> None:
    found = [*digits_bundle.glob("model.*.tflite"), *digits_bundle.glob("model.*.onnx")]
    assert len(found) == 4
    for path in found:
        format_ = tflite if path.suffix == ".tflite" else onnx
        assert format_.precision_of(path) == path.name.split(".")[1]


def test_the_bundle_holds_the_very_files_and_says_where_they_are_from(finished: Path) -> None:
    manifest = read_json(finished / BUNDLE / "manifest.json")
    came = {"model.int8.tflite": "int8.tflite", "model.int8.onnx": "QDQ.onnx", "model.float32.onnx": "float32.onnx"}
    assert {artifact["file"] for artifact in manifest["artifacts"]} == set(came)
    for artifact in manifest["artifacts"]:
        (origin,) = artifact["lineage"]
        source = finished / came[artifact["file"]]
        assert origin["stage"] == "adopt"
        assert (origin["source"], origin["sha256"], origin["added"]) == (source.name, file_digest(source), [])
        assert artifact["sha256"] == origin["sha256"]
    assert not {"training", "compress", "export"} & set(manifest["recipe"])
    assert read_json(finished / "out/theirs/run.json")["adopted"][0]["source"] == "int8.tflite"


def test_the_float_file_is_the_baseline_and_pairs_are_shown_without_verdict(finished: Path) -> None:
    verification = read_json(finished / BUNDLE / "verify.json")
    baseline = verification["baseline"]
    assert baseline["file"] == "model.float32.onnx"
    assert baseline["accuracy"] > 0.9
    for record in verification["artifacts"]:
        assert record["source"] == "model.float32.onnx"
        assert record["drop"] == pytest.approx(baseline["accuracy"] - record["accuracy"])
        assert record["top1_agreement"] > 0.95
    assert {pair["status"] for pair in verification["pairs"]} == {None}
    sides = {frozenset((pair["a"]["file"], pair["b"]["file"])) for pair in verification["pairs"]}
    assert frozenset(("model.int8.tflite", "model.int8.onnx")) in sides
    assert frozenset(("model.int8.tflite", "model.float32.onnx")) in sides
    assert {gate["status"] for gate in verification["gates"]} == {"ok"}
    assert not {"runtime_parity", "layer_parity", "float_parity"} & {gate["gate"] for gate in verification["gates"]}


def test_the_report_ships_one_and_misses_nothing(finished: Path) -> None:
    folder = finished / "out/theirs"
    report = read_json(folder / "report.json")
    assert report["gaps"] == []
    assert [verdict["status"] for verdict in report["verdicts"]] == ["ship"]
    for row in report["rows"]:
        assert set(row["missing"]) <= {"image_mib"}
    statuses = {stage["name"]: stage["status"] for stage in report["stages"]}
    assert [statuses[name] for name in ("train", "compress", "export", "adopt")] == ["skipped"] * 3 + ["ok"]
    page = (folder / "report.html").read_text()
    assert "Learning curves" not in page and "What each step paid" not in page and ">None<" not in page
    assert "**Ship model" in (folder / "report.md").read_text()


def test_a_tracker_is_told_of_files_that_were_not_trained(finished: Path) -> None:
    told = finished_run(finished / "out/theirs")
    assert told.curves == {}
    assert told.figures["linux-amd64-cpu/model.int8.tflite/litert/accuracy"] > 0.9
    assert "linux-amd64-cpu/model.int8.onnx" in told.models


def test_a_bundle_of_finished_files_can_be_checked(finished: Path, edgepack: Edgepack) -> None:
    done = edgepack("verify", BUNDLE, cwd=finished)
    assert done.returncode == 0, done.stderr


def test_nothing_is_done_twice_and_another_file_does_it_again(
    finished: Path, files: Path, tmp_path: Path, edgepack: Edgepack
) -> None:
    work = Path(shutil.copytree(finished, tmp_path / "work"))
    again = edgepack("run", "recipe.yaml", "--to", "verify", cwd=work)
    assert "nothing to do" in again.stderr
    shutil.copy(files / "float_ends.tflite", work / "int8.tflite")
    other = edgepack("run", "recipe.yaml", "--to", "verify", cwd=work)
    assert other.returncode == 0, other.stderr
    assert "nothing to do" not in other.stderr
    manifest = read_json(work / BUNDLE / "manifest.json")
    digests = {artifact["file"]: artifact["sha256"] for artifact in manifest["artifacts"]}
    assert digests["model.int8.tflite"] == file_digest(files / "float_ends.tflite")
    forced = edgepack("run", "recipe.yaml", "--from", "train", "--to", "export", cwd=work)
    assert "nothing to do" not in forced.stderr
    stopped = edgepack("run", "recipe.yaml", "--to", "train", cwd=work)
    assert stopped.returncode == 0
    assert "skipped" in stopped.stderr and "compress" not in stopped.stderr


def test_the_plan_says_what_each_file_is(finished: Path, edgepack: Edgepack) -> None:
    plan = json.loads(edgepack("plan", "recipe.yaml", "--json", cwd=finished).stdout)
    assert [(item["file"], item["source"]) for item in plan["adopted"]] == [
        ("model.int8.tflite", "int8.tflite"),
        ("model.int8.onnx", "QDQ.onnx"),
        ("model.float32.onnx", "float32.onnx"),
    ]
    assert set(plan["skipped"]) == {"train", "compress", "export"}
    assert plan["artifacts"]["linux-amd64-cpu"] == [item["file"] for item in plan["adopted"]]


def test_without_a_float_file_a_drop_is_not_judged_and_says_why(
    files: Path, tmp_path: Path, edgepack: Edgepack
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    recipe = changed(tmp_path, "[int8.tflite, QDQ.onnx, float32.onnx]", "[int8.tflite, QOperator.onnx]")
    done = edgepack("run", recipe, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reason = "there is no float32 file among model.artifacts to compare with"
    assert reason in done.stdout
    verification = read_json(tmp_path / BUNDLE / "verify.json")
    assert verification["baseline"] == {"accuracy": None, "reason": reason}
    judged = {(gate["gate"], gate["status"]) for gate in verification["gates"]}
    assert judged == {("min_accuracy", "ok"), ("max_accuracy_drop", "not judged"), ("min_top1_agreement", "not judged")}
    report = read_json(tmp_path / "out/theirs/report.json")
    assert [verdict["status"] for verdict in report["verdicts"]] == ["not judged"]
    assert {row["missing"]["drop_points"] for row in report["rows"]} == {reason}


def test_a_gate_that_is_missed_is_exit_code_5(finished: Path, tmp_path: Path, edgepack: Edgepack) -> None:
    work = Path(shutil.copytree(finished, tmp_path / "work"))
    done = edgepack("run", changed(work, "min_accuracy: 0.9,", "min_accuracy: 1.0,"), "--to", "verify", cwd=work)
    assert done.returncode == 5
    assert "misses min_accuracy" in done.stderr
    assert "train longer" not in done.stderr


def test_images_are_turned_for_channels_first_and_the_lineage_says_so(
    files: Path, tmp_path: Path, edgepack: Edgepack
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    listed = "[uint8.tflite, channels_first.onnx]"
    recipe = changed(tmp_path, "[int8.tflite, QDQ.onnx, float32.onnx]", listed)
    done = edgepack("run", recipe, "--to", "verify", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'channels_first' takes channels first; its copy has that in its metadata" in done.stderr
    by_file = {item["file"]: item for item in read_json(tmp_path / BUNDLE / "manifest.json")["artifacts"]}
    turned = by_file["model.float32.onnx"]
    assert turned["inputs"][0]["layout"] == "nchw"
    assert turned["lineage"][0]["sha256"] == file_digest(files / "channels_first.onnx") != turned["sha256"]
    assert by_file["model.int8.tflite"]["inputs"][0]["dtype"] == "uint8"
    for record in read_json(tmp_path / BUNDLE / "verify.json")["artifacts"]:
        assert record["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flex.tflite", "flex.tflite has operations that LiteRT does not have: FlexMatrixInverse"),
        ("custom.tflite", "custom.tflite has operations that LiteRT does not have: Betainc"),
        ("cut.tflite", "cut.tflite is no complete .tflite file"),
    ],
)
def test_files_that_litert_refuses_are_refused_by_name(files: Path, name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        tflite.precision_of(files / name)


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("int8.tflite,", "flex.tflite,", 2, "model.artifacts: flex.tflite has operations that LiteRT does not have"),
        ("int8.tflite,", "nothere.tflite,", 3, "changed.yaml:4: model.artifacts: there is nothing at"),
        ("int8.tflite,", "int8.tflite, uint8.tflite,", 2, "int8.tflite and uint8.tflite are both int8 .tflite files"),
        (", image_shape: [8, 8, 1]", "", 2, "takes inputs of shape (8, 8, 1), but the data have (64,)"),
        ("targets:", "training: {epochs: 1}\ntargets:", 2, "changed.yaml:5: training: model.artifacts are finished"),
    ],
)
def test_what_cannot_be_taken_is_one_sentence(
    files: Path, tmp_path: Path, edgepack: Edgepack, old: str, new: str, code: int, message: str
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    done = edgepack("run", changed(tmp_path, old, new), "--to", "verify", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    assert "\n  fix: " in done.stderr
    assert not (tmp_path / BUNDLE).exists()


def test_verbs_that_need_a_keras_model_say_so(finished: Path, edgepack: Edgepack) -> None:
    for words in (["doctor", "recipe.yaml"], ["lr-find", "recipe.yaml"]):
        done = edgepack(*words, cwd=finished)
        assert done.returncode == 2
        assert "there is no Keras model" in done.stderr
    for words in (
        ["doctor", "int8.tflite"],
        ["convert", "float32.onnx", "--format", "tflite", "--precision", "float32"],
    ):
        done = edgepack(*words, *(["-o", "x"] if words[0] == "convert" else []), cwd=finished)
        assert done.returncode == 2
        assert "expected a Keras model; finished files are given to `edgepack run` as" in done.stderr


def test_the_recipe_of_the_page_works_as_it_stands(files: Path, tmp_path: Path, edgepack: Edgepack) -> None:
    page = (ROOT / "docs" / "recipe.md").read_text().partition("### Finished files")[2]
    (tmp_path / "recipe.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    shutil.copy(files / "int8.tflite", tmp_path / "theirs_int8.tflite")
    shutil.copy(files / "float32.onnx", tmp_path / "theirs_float.onnx")
    done = edgepack("run", "recipe.yaml", "--smoke", "--to", "verify", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
