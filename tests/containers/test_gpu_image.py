"""Does the image for GPUs build, and what does it do on a machine without one?

Its own base has ten gigabytes; the project's base stands in for it. Nothing of CUDA is there, as on a machine whose
driver is missing.
"""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from edgepack import transports
from edgepack.images import context, engine

pytestmark = pytest.mark.engine

QUICK = ("bench", "--warmup-s", "0", "--min-runs", "3", "--min-time-s", "0")
FILE = "model.float32.onnx"


@pytest.fixture(scope="module")
def gpu(
    write_context: Callable[..., context.Context],
    make_bundle: Callable[..., Path],
    new_tag: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    show: Callable[[str], None],
) -> tuple[Path, str]:
    """A bundle for the target nvidia-gpu, and its image."""
    bundle = make_bundle(tmp_path_factory.mktemp("gpu") / "nvidia-gpu")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["artifacts"][0]["runtimes"] = ["onnxruntime_gpu"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with np.load(bundle / "golden.npz") as arrays:
        golden = {name.replace("/onnxruntime", "/onnxruntime_gpu"): array for name, array in arrays.items()}
    np.savez(bundle / "golden.npz", **golden)
    made = write_context(bundle, family="gpu", runtimes=["onnxruntime_gpu"])
    tag = new_tag()
    image = engine.build(
        made.path, tag=tag, platform=made.platform, base_image=made.base_image, progress=lambda line: None
    )
    show("gpu: " + ", ".join(f"{p.name} {p.version} {p.size_bytes / 1e6:.1f} MB" for p in made.packages))
    assert "onnxruntime-gpu" in {package.name for package in made.packages}
    assert image.size_mib > 200
    return bundle, tag


def test_without_a_gpu_it_says_so_and_ends_with_exit_code_6(gpu: tuple[Path, str]) -> None:
    _, tag = gpu
    with transports.connect(f"docker:{tag}") as device:
        done = device.run(QUICK, timeout_s=120)
    assert done.returncode == 6, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["status"] == "error" and "no usable GPU" in result["reason"]
    assert "--gpus all" in done.stderr and "allow_cpu: true" in done.stderr


def test_where_the_target_allows_it_the_processor_takes_over(gpu: tuple[Path, str], tmp_path: Path) -> None:
    bundle, tag = gpu
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "target_spec": {"allow_cpu": True}}))
    with transports.connect(f"docker:{tag}") as device:
        device.push(tmp_path / "manifest.json", PurePosixPath("/bundle/manifest.json"))
        measured, verified = device.run(QUICK, timeout_s=120), device.run(["verify"], timeout_s=120)
    said = f"{FILE} with onnxruntime_gpu runs on CPUExecutionProvider: there is no usable NVIDIA GPU"
    for done in (measured, verified):
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(f"runner: {said}")
    (result,) = json.loads(measured.stdout)["results"]
    assert result["details"]["provider"] == "CPUExecutionProvider"
    (result,) = json.loads(verified.stdout)["results"]
    assert result["identical"] is True
