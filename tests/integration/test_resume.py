"""Is a bundle the same when edgepack was killed in the middle of every kind of stage on the way to it?"""

import os
import signal
import subprocess
import time
from pathlib import Path

from support import ROOT, TIMEOUT_S, Edgepack, command, digests, read_json

RECIPE = """
name: short
data: {sklearn: digits, image_shape: [8, 8, 1], preprocessing: {scale: 0.0625}}
model: {zoo: small_cnn, args: {filters: [8, 16]}}
training: {epochs: 1}
compress: [{use: prune, sparsity: 0.5, epochs: 1}, {use: qat, epochs: 1}]
export:
  - {format: tflite, precision: float32}
  - {format: tflite, precision: int8}
  - {format: onnx, precision: float32}
  - {format: onnx, precision: int8}
targets: [linux-amd64-cpu]
gates: {max_accuracy_drop: 1}
bench: {warmup_s: 0.2, min_time_s: 0.5}
"""
STAGES_LIKE_EARLIER_ONES = ("footprint-1-prune", "compress-2-qat", "footprint-2-qat")
STAGES = (
    "data", "train", "footprint-float", "compress-1-prune", "footprint-1-prune", "compress-2-qat", "footprint-2-qat",
    "export", "verify", "image", "bench",
)  # fmt: skip
TARGET = "linux-amd64-cpu"
SAME = (
    *(f"model.{precision}.{kind}" for precision in ("float32", "int8") for kind in ("tflite", "onnx")),
    "golden.npz",
    "verify.json",
)


def test_killed_in_every_kind_of_stage_gives_the_same_bundle(tmp_path: Path, edgepack: Edgepack) -> None:
    recipe, whole, broken = tmp_path / "recipe.yaml", tmp_path / "whole", tmp_path / "broken"
    recipe.write_text(RECIPE)
    done = edgepack("run", recipe, "--out", whole)
    assert done.returncode == 0, done.stderr
    for stage in STAGES:
        if stage not in STAGES_LIKE_EARLIER_ONES:
            _kill_in(stage, recipe, broken)
    done = edgepack("run", recipe, "--out", broken)
    assert done.returncode == 0, done.stderr
    first, second = (out / "short" / TARGET for out in (whole, broken))
    assert digests(first, SAME) == digests(second, SAME)
    one, two = (_without_measurements(read_json(folder / "manifest.json")) for folder in (first, second))
    assert one == two
    assert not [path for path in broken.rglob("*") if path.name.startswith((".tmp-", ".old-"))]
    checked = edgepack("verify", second)
    assert checked.returncode == 0, checked.stderr


def _kill_in(stage: str, recipe: Path, out: Path) -> None:
    """Start a run, wait until it works on a stage, kill it, and see that nothing half-done counts as done."""
    run = out / "short"
    process = subprocess.Popen(
        [*command("run", recipe), "--out", str(out)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not _works_on(stage, run):
            assert process.poll() is None, f"the run ended before it was seen in {stage}"
            assert time.monotonic() < deadline, f"{stage} never began"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    _wait_for_workers()
    finished = {path.name.rsplit("-", 1)[0] for path in (run / "cache").iterdir() if not path.name.startswith(".")}
    assert finished == set(STAGES[: STAGES.index(stage)]) - {"image", "bench"}


def _works_on(stage: str, run: Path) -> bool:
    bundle = run / TARGET
    if stage == "image":
        return bundle.is_dir() and not (bundle / "image" / "image.json").exists()
    if stage == "bench":
        return (bundle / "image" / "image.json").exists() and not (bundle / "latency.json").exists()
    return any((run / "cache").glob(f".tmp-{stage}-*"))


def _wait_for_workers() -> None:
    """A worker ends by itself when edgepack is gone."""
    deadline = time.monotonic() + 30
    while _workers():
        assert time.monotonic() < deadline, "a worker outlived the run that was killed"
        time.sleep(0.1)


def _workers() -> list[int]:
    """Worker processes without a parent: those of the run that was killed."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if b"edgepack.forkserver" in words and parent in (1, os.getpid()):
            found.append(int(entry.name))
    return found


def _without_measurements(manifest: dict[str, object]) -> dict[str, object]:
    files = manifest["files"]
    assert isinstance(files, dict)
    kept = {name: digest for name, digest in files.items() if name in SAME or name.startswith("image/model")}
    timed = ("choice", "parts")  # what is fastest is measured anew, and the digests follow
    return {**{key: value for key, value in manifest.items() if key not in timed}, "files": kept}
