"""Does a folder for a board without a network measure there, and is what it leaves taken into the report?"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgepack.environment import host_platform


@pytest.fixture(scope="module")
def folder(digits_bundle: Path, edgepack: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("offline") / "digits"
    done = edgepack("bundle", digits_bundle, "--offline", found, "--quick", "--platform", host_platform())
    assert done.returncode == 0, done.stderr
    assert "./bench" in done.stdout
    return found


def bench(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run it as a board would: nothing of this environment is on the search path."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    argv = [sys.executable, "-I", str(folder / "bench"), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_it_verifies_measures_and_leaves_a_file_that_the_report_takes(
    folder: Path, bundle_copy: Path, edgepack: Callable[..., Any]
) -> None:
    done = bench(folder, "shelf 1")
    assert done.returncode == 0, done.stderr
    path = folder / "latency-shelf-1.json"
    document = json.loads(path.read_text())
    assert document["device"] == {"address": "offline", "name": "shelf-1", "simulated": False}
    assert {item["status"] for item in (*document["results"], *document["golden"]["results"])} == {"ok"}
    taken = edgepack("report", bundle_copy.parent, "--add", path)
    assert taken.returncode == 0, taken.stderr
    assert (bundle_copy / "devices" / "shelf-1.json").is_file()
    assert edgepack("verify", bundle_copy, "--json").returncode == 0


def test_another_machine_and_an_altered_model_are_said_to_be_that(folder: Path) -> None:
    told = json.loads((folder / "offline.json").read_text())
    try:
        (folder / "offline.json").write_text(json.dumps({**told, "machine": "riscv64"}))
        done = bench(folder)
        assert done.returncode == 3 and "the packages in this folder are for riscv64" in done.stderr
        (folder / "offline.json").write_text(json.dumps({**told, "python": "3.99"}))
        done = bench(folder)
        assert done.returncode == 3 and "for Python 3.99" in done.stderr and "--python" in done.stderr
    finally:
        (folder / "offline.json").write_text(json.dumps(told))
    model = folder / "bundle" / "model.int8.tflite"
    whole = model.read_bytes()
    try:
        model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        done = bench(folder, "altered")
        assert done.returncode == 5 and "not the file that was packed" in done.stderr
        assert not (folder / "latency-altered.json").exists()
    finally:
        model.write_bytes(whole)


def test_a_platform_without_packages_and_a_folder_in_use_are_refused(
    digits_bundle: Path, edgepack: Callable[..., Any], tmp_path: Path
) -> None:
    done = edgepack("bundle", digits_bundle, "--offline", tmp_path / "new", "--platform", "android/arm64")
    assert done.returncode == 2 and "expected one of linux/amd64, linux/arm64" in done.stderr
    (tmp_path / "thesis.txt").write_text("years of work")
    done = edgepack("bundle", digits_bundle, "--offline", tmp_path)
    assert done.returncode == 2 and "is there already" in done.stderr
    assert (tmp_path / "thesis.txt").is_file()
