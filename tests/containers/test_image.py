"""Does an image measure and verify its model, locked down as on a device, bit for bit as the host does?"""

import json
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from edgepack.images import contents, context, engine

pytestmark = pytest.mark.engine

WriteContext = Callable[..., context.Context]
RunImage = Callable[..., Any]


@pytest.fixture(scope="module")
def built(made: context.Context, new_tag: Callable[[], str], show: Callable[[str], None]) -> engine.Image:
    """Its image."""
    said: list[str] = []
    image = engine.build(
        made.path, tag=new_tag(), platform=made.platform, base_image=made.base_image, progress=said.append
    )
    assert any("ADD model.tar" in line for line in said)
    parts = ", ".join(f"{layer.name} {layer.size_mib:.1f}" for layer in image.layers)
    show(f"image {image.tag} {image.id}: {image.size_mib:.1f} MiB unpacked ({parts})")
    show("packages: " + ", ".join(f"{p.name} {p.version} {p.size_bytes / 2**20:.1f} MiB" for p in made.packages))
    return image


def test_without_arguments_it_measures_and_prints_one_document(
    built: engine.Image, run_image: RunImage, show: Callable[[str], None]
) -> None:
    done = run_image(built.tag)
    show(f"docker run {built.tag} -> {done.stdout[:700]} ... ({len(done.stdout)} characters)")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == "edgepack.latency/1"
    (result,) = document["results"]
    assert result["status"] == "ok" and result["latency_ms"]["p50"] > 0
    assert document["environment"]["container"] is True


def test_its_outputs_are_bit_identical_with_the_hosts(
    built: engine.Image, run_image: RunImage, show: Callable[[str], None]
) -> None:
    done = run_image(built.tag, "verify")
    show(f"docker run {built.tag} verify -> {done.stdout.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    (result,) = json.loads(done.stdout)["results"]
    assert result["identical"] is True and result["max_abs_difference"] == 0


def test_it_runs_as_a_numeric_user_and_every_runtime_loads(built: engine.Image, run_image: RunImage) -> None:
    code = (
        "import os, sys, numpy, onnxruntime; from ai_edge_litert.interpreter import Interpreter; "
        "sys.stdout.write(f'{os.getuid()} {os.getgid()}')"
    )
    done = run_image(built.tag, "-c", code, entrypoint=["python3"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "65532 65532", "")


def test_a_wrong_word_is_a_usage_error_of_one_line(built: engine.Image, run_image: RunImage) -> None:
    done = run_image(built.tag, "no-such-verb")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_is_small_holds_no_tensorflow_and_its_last_layer_is_the_model(
    built: engine.Image, client: Any, base_image: str
) -> None:
    assert [layer.name for layer in built.layers] == ["base", "runtime", "runner", "model"]
    assert built.size_mib < (115 if base_image.startswith("edgepack/base:") else 300)
    assert sum(layer.size_mib for layer in built.layers) == pytest.approx(built.size_mib)
    assert all(layer.size_mib > 0 for layer in built.layers)
    record = client.api.inspect_image(built.tag)
    assert record["Config"]["User"] == "65532:65532"
    assert record["Config"]["Labels"]["io.edgepack.target"] == "linux-amd64-cpu"
    assert record["Config"]["Labels"]["org.opencontainers.image.base.name"] == base_image
    with tempfile.TemporaryFile() as file:
        for chunk in client.images.get(built.tag).save():
            file.write(chunk)
        file.seek(0)
        with tarfile.open(fileobj=file) as saved:
            layers = json.load(saved.extractfile("manifest.json"))[0]["Layers"]  # type: ignore[arg-type]
            names = []
            for layer in layers:
                with tarfile.open(fileobj=saved.extractfile(layer)) as content:
                    names.append(content.getnames())
    everything = [name for layer in names for name in layer]
    # LiteRT has TensorFlow's name in the names of two of its own small modules.
    parts = {part.lower() for name in everything for part in name.split("/") if "ai_edge_litert" not in name}
    assert not [part for part in parts if "tensorflow" in part or "keras" in part]
    assert {name for name in names[-1] if "." in name} == {
        "bundle/golden.npz",
        "bundle/manifest.json",
        "bundle/model.float32.onnx",
        "opt/edgepack/sbom.cdx.json",
    }


def test_its_bytes_are_shown_by_layer_and_by_package(
    built: engine.Image, client: Any, made: context.Context, show: Callable[[str], None]
) -> None:
    found = contents.of_image(client, built.tag)
    show(contents.table(found))
    assert {name: size / engine.MIB for name, size in found.layers} == pytest.approx(
        {layer.name: layer.size_mib for layer in built.layers}
    )
    assert sum(part.size_bytes for part in found.parts) == pytest.approx(found.size_bytes, rel=1e-3)
    sizes = {part.name: part.size_bytes for part in found.parts}
    assert {package.name: package.size_bytes for package in made.packages}.items() <= sizes.items()
    assert sizes["files of no package"] < 1_000_000


def test_the_command_to_copy_builds_the_same_layers(built: engine.Image, client: Any, made: context.Context) -> None:
    if shutil.which("docker") is None:
        pytest.skip("the docker command line is not installed; the engine alone is")
    other = built.tag + "-by-hand"
    command = engine.build_command(made.path, other, made.platform, made.base_image)
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        one, two = (client.api.inspect_image(name)["RootFS"] for name in (built.tag, other))
        assert one == two
    finally:
        client.api.remove_image(other, force=True)


def test_the_base_image_of_this_project_is_small_and_has_no_shell(
    client: Any, base_image: str, run_image: RunImage
) -> None:
    if not base_image.startswith("edgepack/base:"):
        pytest.skip(f"the tests run on another base image, {base_image}")
    assert client.api.inspect_image(base_image)["Size"] < 55_000_000
    code = (
        "import ssl, numpy, ctypes, lzma, bz2, zlib, decimal, asyncio, multiprocessing, os, shutil, logging.config;"
        "assert ssl.create_default_context().get_ca_certs();"
        "print([name for name in ('sh', 'bash', 'apt', 'dpkg', 'perl', 'pip') if shutil.which(name)])"
    )
    done = run_image(base_image, "python3", "-c", code)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
