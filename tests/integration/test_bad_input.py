"""Does everything that can be wrong from outside give one clear message and its exit code, and harm nothing?"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_files import RECIPE, results
from support import TIMEOUT_S, Edgepack, Finished, command

pytest_plugins = ["small"]

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent"}


def run_changed(edgepack: Edgepack, work: Path, old: str, new: str, *words: str) -> Finished:
    """Run the small recipe with one text replaced, on top of earlier results; nothing of them may change."""
    assert RECIPE.count(old) == 1
    (work / "changed.yaml").write_text(RECIPE.replace(old, new))
    before = results(work / "out")
    done = edgepack("run", "changed.yaml", *words, cwd=work)
    assert before.items() <= results(work / "out").items()
    return done


def the_only_error(done: Finished) -> str:
    """What follows ``error:``; one message, no traceback."""
    assert "Traceback" not in done.stderr
    _, *messages = done.stderr.split("error: ")
    assert len(messages) == 1, done.stderr
    return messages[0]


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        pytest.param(
            "epochs: 1",
            "epocs: 1",
            10,
            ["unknown key 'training.epocs'", "expected one of: ", "did you mean 'epochs'?"],
            id="typo",
        ),
        pytest.param("training:", "trainig:", 9, ["unknown key 'trainig'", "did you mean 'training'?"], id="typo-top"),
        pytest.param(
            "{format: onnx,",
            "{format: onx,",
            13,
            ["'export.1'", "onnx, tflite", "did you mean 'onnx'?"],
            id="kind",
        ),
        pytest.param(
            "args: {filters: [8]}",
            "args: {filter: [8]}",
            6,
            ["'filter' of 'small_cnn'", "did you mean 'filters'?"],
            id="typo-argument",
        ),
        pytest.param("  sklearn: digits", "  sklern: digits", 2, ["sklearn", "did you mean 'sklearn'?"], id="source"),
        pytest.param(
            "epochs: 1", "epochs: many", 10, ["'training.epochs'", "integer", "received 'many'"], id="wrong-type"
        ),
        pytest.param(
            "args: {filters: [8]}",
            "args: small",
            8,
            ["'model.args'", "mapping", "received 'small'"],
            id="map",
        ),
        pytest.param(
            "targets: [linux-amd64-cpu]",
            "targets: linux-amd64-cpu",
            14,
            ["'targets'", "expected a list", "received 'linux-amd64-cpu'"],
            id="no-list",
        ),
        pytest.param(
            "epochs: 1",
            "epochs: -1",
            10,
            ["'training.epochs'", "greater than or equal to 0", "received -1"],
            id="range",
        ),
        pytest.param("epochs: 1", "epochs: .inf", 10, ["'training.epochs'", "received inf"], id="infinite"),
        pytest.param(
            "targets: [linux-amd64-cpu]",
            "targets: [linux-amd46-cpu]",
            14,
            ["unknown target 'linux-amd46-cpu'", "android-arm64", "did you mean 'linux-amd64-cpu'?"],
            id="unknown-target",
        ),
        pytest.param("epochs: 1", "epochs: [1", 11, ["this is not YAML"], id="no-yaml"),
        pytest.param("epochs: 1", "epochs: 1\n  epochs: 2", 11, ["epochs"], id="twice"),
    ],
)
def test_a_wrong_recipe_names_file_line_and_key(
    edgepack: Edgepack, work: Path, old: str, new: str, line: int, expected: list[str]
) -> None:
    done = run_changed(edgepack, work, old, new)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    message = the_only_error(done)
    assert message.startswith(f"changed.yaml:{line}: "), message
    for text in expected:
        assert text in message
    assert "\n  fix: " in message


def test_a_failure_is_one_json_document_where_json_was_asked_for(edgepack: Edgepack, work: Path) -> None:
    done = run_changed(edgepack, work, "epochs: 1", "epocs: 1", "--json")
    assert done.returncode == 2
    (error,) = json.loads(done.stdout)["errors"]
    assert (error["class"], error["exit_code"]) == ("RecipeError", 2)
    assert error["message"].startswith("changed.yaml:10: unknown key 'training.epocs'")
    assert error["fix"] == "did you mean 'epochs'?"


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["run", "recipe.yaml", "--set", "training.epocs=3"], 2, "did you mean 'epochs'?"),
        (["run", "recipe.yaml", "--set", "training"], 2, "expected KEY=VALUE, received 'training'"),
        (["run", "recipe.yaml", "--set", "export.7.precision=int8"], 2, "there is no key '7' to set"),
        (["run", "recipe.yaml", "--from", "verify", "--to", "train"], 2, "--from verify comes after --to train"),
        (["run", "recipe.yaml", "--to", "trian"], 2, "'trian' is not one of"),
        (["run", "nothere.yaml"], 3, "there is no file 'nothere.yaml'"),
        (["run", "recipe.yaml", "--target", "linux-amd46-cpu"], 2, "did you mean 'linux-amd64-cpu'?"),
        (["run", "recipe.yaml", "--target", "nothere.yaml"], 3, "there is no file 'nothere.yaml'"),
        (["targets", "linux-amd46-cpu"], 2, "did you mean 'linux-amd64-cpu'?"),
        (["verify", "out"], 3, "out is no bundle"),
        (["verify", "out/small"], 2, "expected one of: out/small/linux-amd64-cpu"),
        (["bench", "out/nothere"], 3, "there is nothing at out/nothere"),
        (["bench", "out/small/linux-amd64-cpu", "--on", "lokal"], 2, "did you mean 'local'?"),
        (["bench", "out/small/linux-amd64-cpu", "--on", "docker"], 3, "has no image"),
        (["report", "nothere"], 3, "no folder 'nothere'"),
        (["convert", "nothere.keras", "--format", "tflite", "--precision", "int8", "-o", "x"], 3, "no model at"),
        (["doctor", "nothere.keras"], 3, "nothere.keras"),
        (["rnu", "recipe.yaml"], 2, "No such command 'rnu'"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_words_are_explained(
    edgepack: Edgepack, small_run: Path, words: list[str], code: int, expected: str
) -> None:
    before = results(small_run)
    done = edgepack(*words, cwd=small_run)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    message = the_only_error(done)
    assert expected in message
    assert "\n  fix: " in message
    assert results(small_run) == before


def test_a_missing_data_file_is_named_with_its_line(edgepack: Edgepack, work: Path) -> None:
    old = "  sklearn: digits\n  image_shape: [8, 8, 1]\n"
    done = run_changed(edgepack, work, old, "  npz: nothere.npz\n")
    assert done.returncode == 3
    message = the_only_error(done)
    assert message.startswith(f"changed.yaml:3: data.npz: there is nothing at {work / 'nothere.npz'}")
    assert "relative to the recipe's folder" in message


def test_samples_that_the_architecture_cannot_take_are_named(edgepack: Edgepack, work: Path) -> None:
    done = run_changed(edgepack, work, "  image_shape: [8, 8, 1]\n", "", "--to", "train")
    assert done.returncode == 2, done.stderr
    message = the_only_error(done)
    assert "small_cnn cannot be built for samples of shape (64,)" in message
    assert "image_shape" in message


@pytest.mark.parametrize("label", [12, -1])
def test_a_label_outside_the_classes_is_named_with_its_sample(edgepack: Edgepack, work: Path, label: int) -> None:
    labels = np.arange(60) % 10
    labels[17] = label
    np.savez(work / "data.npz", x=np.zeros((60, 8, 8, 1), np.float32), y=labels)
    names = ", ".join(f"'{name}'" for name in range(10))
    old = "  sklearn: digits\n  image_shape: [8, 8, 1]\n"
    done = run_changed(edgepack, work, old, f"  npz: data.npz\n  labels: [{names}]\n", "--json")
    assert done.returncode == 2
    (error,) = json.loads(done.stdout)["errors"]
    assert error["message"] == f"data: the train label {label} of sample 17 is outside the 10 classes 0..9"
    assert "data.labels" in error["fix"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("large.keras", ["takes inputs of shape (28, 28, 1)", "the data have (8, 8, 1)", "image_shape"]),
        ("cut.keras", ["cut.keras is not a readable .keras file", "save or copy the model again"]),
        ("altered.keras", ["altered.keras", "save or copy the model again"]),
        ("text.keras", ["text.keras is not a readable .keras file", "save or copy the model again"]),
    ],
)
def test_a_model_that_is_damaged_or_does_not_fit_is_refused(
    edgepack: Edgepack, work: Path, models: Path, name: str, expected: list[str]
) -> None:
    old = "  zoo: small_cnn\n  args: {filters: [8]}\n"
    done = run_changed(edgepack, work, old, f"  file: {models / name}\n", "--to", "train")
    assert done.returncode == 2, done.stderr
    message = the_only_error(done)
    for text in expected:
        assert text in message


def test_without_an_engine_the_context_and_the_command_are_left(edgepack: Edgepack, work: Path, bundle: Path) -> None:
    before = results(bundle)
    del before["manifest.json"]
    done = edgepack("image", bundle, cwd=work, env=NO_ENGINE)
    assert (done.returncode, done.stdout) == (3, "")
    message = the_only_error(done)
    assert "no container engine answers at unix:///nonexistent" in message
    assert "docker build --network none --platform linux/amd64 --tag edgepack/small:linux-amd64-cpu" in message
    assert before.items() <= results(bundle).items()
    assert (bundle / "image/Dockerfile").is_file()

    done = edgepack("run", "recipe.yaml", "--json", cwd=work, env=NO_ENGINE)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["errors"] == []
    image = json.loads((bundle / "image/image.json").read_text())
    assert image["status"] == "context only" and "no container engine answers" in image["reason"]
    assert "docker build" in image["command"]
    assert "no container engine answers" in (work / "out/small/report.md").read_text()
    assert before.items() <= results(bundle).items()
    assert edgepack("verify", bundle).returncode == 0


PAGE = 4096


def pages(folder: Path) -> int:
    """Bytes that a folder's files take on a tmpfs."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("a full disk needs a file system of its own, and this user may not mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("room", ["nothing", "some data", "the data alone"])
def test_a_full_disk_is_named_and_a_run_goes_on_when_there_is_room(
    edgepack: Edgepack, work: Path, small_disk: Path, room: str
) -> None:
    shutil.copytree(work / "out", small_disk, dirs_exist_ok=True)
    (data,) = (small_disk / "small/cache").glob("data-*")
    left = {"nothing": 0, "some data": 16 * PAGE, "the data alone": pages(data) + 3 * PAGE}[room]
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
    before = results(small_disk / "small")
    words = ["run", "recipe.yaml", "--out", small_disk, "--set", "seed=3", "--to", "train"]
    done = edgepack(*words, cwd=work)
    assert done.returncode == 3, done.stderr
    message = the_only_error(done)
    assert message.startswith("no space left for ")
    assert "free some space" in message
    after = results(small_disk / "small")
    assert before.items() <= after.items()
    assert not list((small_disk / "small/cache").glob(".tmp-*"))
    if room == "the data alone":
        filler.unlink()
        assert edgepack(*words, cwd=work).returncode == 0
        assert before.items() <= results(small_disk / "small").items()


@contextmanager
def training(work: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A run in a process group of its own that has begun to train."""
    # What a shell runs in the background ignores Ctrl-C, and so would what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (work / "stderr.txt").open("w") as stream:
        argv = command("run", "recipe.yaml", "--to", "train", *words)
        process = subprocess.Popen(
            argv, cwd=work, stdout=subprocess.DEVNULL, stderr=stream, text=True, start_new_session=True
        )
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while "… train" not in (work / "stderr.txt").read_text():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def descendants(pid: int) -> set[int]:
    """Processes that a process started, and those that they started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {child for child, parent in parents.items() if parent == pid}
    return found.union(*(descendants(child) for child in found))


def test_ctrl_c_ends_everything_and_keeps_what_was_finished(edgepack: Edgepack, work: Path) -> None:
    before = results(work / "out")
    with training(work, "--set", "training.epochs=100000") as process:
        deadline = time.monotonic() + TIMEOUT_S
        while not (started := descendants(process.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
    stderr = (work / "stderr.txt").read_text()
    assert "error: interrupted\n  fix: finished stages are kept: run the same command to go on\n" in stderr
    assert "Traceback" not in stderr
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert results(work / "out") == before
    assert not list((work / "out/small/cache").glob(".tmp-*"))
    assert edgepack("run", "recipe.yaml", "--to", "verify", cwd=work).stderr.count("up to date") >= 5


def test_a_second_run_on_the_same_folder_is_refused_and_the_first_goes_on(edgepack: Edgepack, work: Path) -> None:
    with training(work, "--set", "seed=5") as first:
        done = edgepack("run", "recipe.yaml", cwd=work)
        assert done.returncode == 2
        message = the_only_error(done)
        assert message.startswith(f"another edgepack run (process {first.pid}) is working in out/small")
        assert "--out" in message
        assert first.wait(timeout=TIMEOUT_S) == 0, (work / "stderr.txt").read_text()


def test_results_of_any_kind_are_json_ready(edgepack: Edgepack, work: Path) -> None:
    """An error after the results were made still prints one document."""
    words = ["--to", "verify", "--set", "gates.min_accuracy=1", "--json"]
    done = edgepack("run", "recipe.yaml", *words, cwd=work)
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 5
    assert document["errors"][0]["class"] == "VerificationError"
    assert "misses min_accuracy" in document["errors"][0]["message"]
