"""Does the command line say what an engine or a base image did, and keep the bundle as it was?"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from test_build_errors import PrivateEngine, ids, private_engine  # noqa: F401

from edgepack import bundle, target
from edgepack.errors import VerificationError

TIMEOUT_S = 300


@pytest.fixture
def tiny(tiny_bundle: Path) -> Path:
    """The tiny bundle with what `edgepack image` reads besides: the target it was made for."""
    spec = target.load("linux-amd64-cpu").model_copy(update={"runtimes": ("onnxruntime",)})
    bundle.record(tiny_bundle, "target_spec", spec.model_dump(mode="json"))
    (tiny_bundle / "verify.json").write_text('{"gates": []}')
    bundle.seal(tiny_bundle)
    return tiny_bundle


def image(folder: Path, *words: str, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """`edgepack image` in a process of its own."""
    argv = [sys.executable, "-m", "edgepack.cli.main", "image", str(folder), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **(env or {})})


def whole(folder: Path) -> bool:
    try:
        return bundle.changed_files(folder, bundle.read_manifest(folder)) == []
    except VerificationError:
        return False


def files(folder: Path) -> dict[str, bytes]:
    """The bundle itself, without its image's folder and the list of its files."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "manifest.json"
    }


@pytest.mark.usefixtures("client")
def test_a_base_image_that_cannot_be_read_is_missing_and_the_bundle_stays_whole(tiny: Path) -> None:
    before = files(tiny)
    with image(tiny, "--base-image", "nothere/nothere:none", "--json") as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 3, stderr
    (error,) = json.loads(stdout)["errors"]
    assert (error["class"], error["exit_code"]) == ("MissingError", 3)
    assert "the base image nothere/nothere:none for linux/amd64 is not on this engine" in error["message"]
    assert "--base-image" in error["fix"] and "containers/base/build" in error["fix"]
    assert files(tiny) == before
    assert whole(tiny)
    assert (tiny / "image/Dockerfile").is_file()


def test_an_engine_that_dies_in_mid_build_is_a_device_error_and_the_bundle_stays_whole(
    tiny: Path,
    private_engine: PrivateEngine,  # noqa: F811 - the fixture
    base_image: str,
) -> None:
    before, images = files(tiny), ids(private_engine)
    stop = threading.Event()

    def kill_after_the_first_step() -> None:
        while not stop.is_set() and ids(private_engine) == images:
            stop.wait(0.01)
        private_engine.kill()

    watcher = threading.Thread(target=kill_after_the_first_step)
    words = ["--base-image", base_image, "--tag", "edgepack/test:dies"]
    with image(tiny, *words, env={"DOCKER_HOST": private_engine.host}) as process:
        watcher.start()
        try:
            _, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            stop.set()
            watcher.join()
    assert process.returncode == 6, stderr
    assert "Traceback" not in stderr
    assert "stopped answering" in stderr and "\n  fix: " in stderr
    assert files(tiny) == before
    assert whole(tiny)


def test_an_image_over_its_budget_is_refused_with_its_bytes_by_package(tiny: Path, base_image: str, tag: str) -> None:
    spec = target.load("linux-amd64-cpu").model_dump(mode="json")
    spec |= {"runtimes": ["onnxruntime"], "budgets": {"image_mib": 10}}
    bundle.record(tiny, "target_spec", spec)
    with image(tiny, "--base-image", base_image, "--tag", tag) as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 7, stderr
    assert "MiB, the budget is 10 MiB" in stderr and "raise budgets.image_mib" in stderr
    assert {"base", "runtime", "runner", "model", "onnxruntime"} <= {
        line.split()[0] for line in stderr.split("\n") if line
    }
    with image(Path("inspect"), str(tiny)) as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.split()[:2] == ["layer", "MB"] and "onnxruntime" in stdout
    with image(Path("inspect"), "edgepack/no-such:image") as process:
        _, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 3 and "has no image 'edgepack/no-such:image'" in stderr
