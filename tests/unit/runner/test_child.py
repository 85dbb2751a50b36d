"""A runtime that crashes, hangs or prints must not take the others with it: tried with real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import edit

SPEED = ["--warmup-s", "0", "--min-runs", "2", "--min-time-s", "0", "--max-time-s", "5"]


def start(copied: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(copied)}
    return subprocess.Popen(
        [sys.executable, "-m", "runner", *words],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def bench(copied: Path, bundle: Path, runtimes: list[str], *words: str) -> tuple[int, list[dict[str, Any]], str]:
    edit(bundle, lambda m: m["artifacts"][0].update(runtimes=runtimes))
    process = start(copied, "bench", "--bundle", str(bundle), "--artifact", "model.float32.onnx", *SPEED, *words)
    output, complaint = process.communicate(timeout=120)
    return process.returncode, json.loads(output)["results"], complaint


def test_a_crash_is_an_error_with_its_signal_and_the_others_go_on(copied: Path, bundle: Path) -> None:
    code, results, complaint = bench(copied, bundle, ["crashing", "odd", "onnxruntime"])
    assert [r["status"] for r in results] == ["error", "error", "ok"]
    assert "was ended by SIGSEGV" in results[0]["reason"]
    assert results[1]["reason"] == "KeyError: 'what a runtime may throw'"
    assert code == 6
    assert complaint.count("\n") == 1
    assert "model.float32.onnx with crashing" in complaint


def test_a_process_that_hangs_is_ended(copied: Path, bundle: Path) -> None:
    code, results, _ = bench(
        copied, bundle, ["hanging", "onnxruntime"], "--start-timeout-s", "1.5", "--max-time-s", "0.5"
    )
    assert code == 6
    assert "hung: no result within" in results[0]["reason"]
    assert results[1]["status"] == "ok"


def test_what_native_code_prints_does_not_reach_the_document(copied: Path, bundle: Path) -> None:
    code, results, complaint = bench(copied, bundle, ["chatty"])
    assert (code, complaint) == (0, "")
    assert results[0]["status"] == "ok"


def test_a_killed_run_leaves_no_process_behind(copied: Path, bundle: Path) -> None:
    edit(bundle, lambda m: m["artifacts"][0].update(runtimes=["hanging"]))
    process = start(copied, "bench", "--bundle", str(bundle))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    deadline_s = time.monotonic() + 30
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    child = int(found[0])
    # The runtime's library is the last thing that it maps before it binds itself to its parent.
    while "onnxruntime_pybind11_state" not in Path(f"/proc/{child}/maps").read_text():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    while alive(child):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["bench", "--threads", "0"], "expected at least 1"),
        (["bench", "--min-runs", "many"], "invalid"),
        (["bench", "--min-time-s", "9", "--max-time-s", "1"], "below min_time_s"),
        (["dance"], "invalid choice"),
        (["verify", "--bundle", "nowhere"], "expected a bundle"),
        (["--bundle", "nowhere"], "expected a bundle"),
        (["bench", "--file", "model.pt"], "there is no file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(copied: Path, words: list[str], reason: str) -> None:
    process = start(copied, *words)
    output, complaint = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert reason in complaint
    assert complaint.count("\n") == 1


def test_without_a_verb_it_measures(copied: Path, bundle: Path) -> None:
    process = start(copied, "--bundle", str(bundle), *SPEED)
    output, complaint = process.communicate(timeout=120)
    assert (process.returncode, complaint) == (0, "")
    assert output.count("\n") == 1
    assert [r["status"] for r in json.loads(output)["results"]] == ["ok", "ok"]


def test_verify_fails_with_5_and_still_prints_its_document(copied: Path, bundle: Path) -> None:
    shutil.copy(bundle / "model.float32.onnx", bundle / "model.int8.onnx")
    process = start(copied, "verify", "--bundle", str(bundle))
    output, complaint = process.communicate(timeout=60)
    assert process.returncode == 5
    assert [r["status"] for r in json.loads(output)["results"]] == ["ok", "failed"]
    assert complaint.startswith("runner: model.int8.onnx with onnxruntime: model.int8.onnx is not")


def test_verify_that_cannot_run_ends_with_6(copied: Path, bundle: Path) -> None:
    edit(bundle, lambda m: m["artifacts"][0].update(runtimes=["crashing"]))
    process = start(copied, "verify", "--bundle", str(bundle))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 6
    assert [r["status"] for r in json.loads(output)["results"]] == ["error", "ok"]
