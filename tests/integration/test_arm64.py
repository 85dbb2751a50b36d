"""Does the demo's image for arm64 run here, emulated, and answer as the host does?"""

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import Edgepack, read_json

from edgepack import bundle, latency, target
from edgepack.images import engine
from edgepack.protocol import Protocol
from edgepack.recipe import Gates
from edgepack.report.collect_container import container_pairs

pytestmark = pytest.mark.engine

BASE = os.environ.get("EDGEPACK_ARM64_BASE_IMAGE", "edgepack/base:bookworm-arm64")
ARTIFACTS = 4


@pytest.fixture(scope="module")
def arm64(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Iterator[Path]:
    """The demo's bundle as one for the target linux-arm64-cpu, with its image."""
    found = engine.status()
    if found.version is None and os.environ.get("EDGEPACK_REQUIRE_DOCKER") != "1":
        pytest.skip(found.reason)
    folder = tmp_path_factory.mktemp("arm64") / "digits" / "linux-arm64-cpu"
    shutil.copytree(digits_bundle, folder, ignore=shutil.ignore_patterns("image"))
    bundle.record(folder, "target", "linux-arm64-cpu")
    bundle.record(folder, "platform", "linux/arm64")
    bundle.record(folder, "target_spec", target.load("linux-arm64-cpu").resolved())
    bundle.seal(folder)
    tag = f"edgepack/test-{uuid.uuid4().hex[:8]}:arm64"
    done = edgepack("image", folder, "--base-image", BASE, "--tag", tag)
    assert done.returncode == 0, done.stderr
    yield folder
    with closing(engine.connect()) as client, contextlib.suppress(Exception):
        client.api.remove_image(tag, force=True)


def test_its_golden_outputs_agree_as_well_as_kernels_do_with_each_other(arm64: Path, edgepack: Edgepack) -> None:
    done = edgepack("verify", arm64, "--on", "docker")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("golden")]
    assert len(lines) == ARTIFACTS
    # The tolerance that they keep comes from how far LiteRT's own kernels are apart. XNNPACK has kernels for each kind
    # of processor: with some hosts the integers are equal, with others one step off here and there.
    assert all(line.endswith("(emulated)") for line in lines)
    (line,) = [line for line in lines if "model.int8.tflite with litert" in line]
    assert re.search(r": (identical|within tolerance \(max difference 0\.00391\)) \(emulated\)$", line)


def test_its_times_are_shown_and_never_judged(arm64: Path) -> None:
    wanted = target.load("linux-arm64-cpu")
    strict = wanted.model_copy(update={"budgets": wanted.budgets.model_copy(update={"latency_p90_ms": 1e-6})})
    protocol = Protocol(warmup_s=0, min_runs=3, min_time_s=0)
    cached, problems = latency.measure_bundle(
        arm64, strict, ["model.int8.tflite"], protocol, gates=Gates(), unjudged=None, progress=lambda event: None
    )
    assert (cached, problems) == (False, [])
    document = read_json(arm64 / "latency.json")
    assert "the target linux/arm64" in document["host_reason"]
    assert document["container"]["environment"]["emulated"] is True
    assert document["container"]["protocol"]["quick"] is True
    assert document["container"]["environment"]["cpu"] == "Arm Cortex-A72"
    (result,) = document["container"]["results"]
    assert result["status"] == "ok" and result["details"]["delegate"] == "XNNPACK"
    (gate,) = document["gates"]
    assert (gate["status"], gate["reason"]) == ("not judged", "measured under emulation")
    (pair,) = container_pairs(read_json(arm64 / "manifest.json"), document)
    assert pair.b.kernels == "in the container, emulated aarch64"
    assert pair.max_lsb_difference is not None and pair.max_lsb_difference <= 1


def test_the_demos_own_container_is_in_the_matrix_with_no_difference(digits_bundle: Path) -> None:
    manifest, document = read_json(digits_bundle / "manifest.json"), read_json(digits_bundle / "latency.json")
    if document["container"] is None:
        pytest.skip(document["container_reason"])
    pairs = container_pairs(manifest, document)
    assert len(pairs) == ARTIFACTS
    assert {(pair.b.kernels, pair.status, pair.max_abs_difference) for pair in pairs} == {("in the container", "ok", 0)}
