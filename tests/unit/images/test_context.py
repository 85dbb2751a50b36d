"""Is a build context complete, always the same, and free of anything that would be executed in a build?"""

import hashlib
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import resources, serving
from edgepack.errors import MissingError, RecipeError
from edgepack.images import context, facts

ALLOWED = {"FROM", "ARG", "ADD", "COPY", "ENV", "LABEL", "USER", "EXPOSE", "ENTRYPOINT", "CMD", "HEALTHCHECK"}
FAMILIES = sorted(path.parent.name for path in resources.folder("containers").glob("*/Dockerfile"))


def write(bundle: Path, cache: Path, **changed: Any) -> context.Context:
    arguments: dict[str, Any] = {
        "family": "cpu",
        "platform": "linux/amd64",
        "runtimes": ["onnxruntime"],
        "base_image": "edgepack/base:bookworm",
        "python_version": "3.11",
        "labels": {"org.opencontainers.image.title": "tiny", "io.edgepack.target": "linux-amd64-cpu"},
        "wheel_cache": cache,
        "progress": lambda line: None,
    }
    return context.write(bundle, **{**arguments, **changed})


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def instructions(dockerfile: str) -> list[str]:
    joined = dockerfile.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def test_the_same_inputs_in_two_folders_give_the_same_bytes(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path]
) -> None:
    one = write(make_bundle(tmp_path / "one"), wheel_cache)
    two = write(
        make_bundle(tmp_path / "another-name"),
        wheel_cache,
        labels=dict(reversed([("org.opencontainers.image.title", "tiny"), ("io.edgepack.target", "linux-amd64-cpu")])),
    )
    assert digests(one.path) == digests(two.path)
    assert set(digests(one.path)) == {
        "Dockerfile",
        ".dockerignore",
        "context.json",
        "sbom.cdx.json",
        "runtime.tar",
        "runner.tar",
        "model.tar",
    }
    assert one.layers == two.layers
    for layer in one.layers:
        assert digests(one.path)[layer.file] == layer.sha256


def test_the_layers_hold_packages_runner_and_model(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path]
) -> None:
    made = write(make_bundle(tmp_path / "bundle"), wheel_cache)
    content = {}
    for layer in made.layers:
        with tarfile.open(made.path / layer.file) as tar:
            content[layer.name] = {member.name for member in tar.getmembers() if member.isfile()}
    site = "opt/edgepack/site-packages"
    assert list(content) == ["runtime", "runner", "model"]
    assert {f"{site}/numpy/__init__.py", f"{site}/onnxruntime/__init__.py"} <= content["runtime"]
    assert not [name for name in content["runtime"] if "/tests/" in name or name.endswith(".h")]
    app = "opt/edgepack/app/edgepack"
    assert {f"{app}/runner/__main__.py", f"{app}/serving/__main__.py"} <= content["runner"]
    assert f"{app}/__init__.py" not in content["runner"]
    assert "opt/edgepack/LICENSE" in content["runner"]
    assert content["model"] == {
        "bundle/manifest.json",
        "bundle/model.float32.onnx",
        "bundle/golden.npz",
        "opt/edgepack/sbom.cdx.json",
    }
    assert [package.name for package in made.packages] == sorted(["numpy", "onnxruntime", *serving.REQUIREMENTS])
    assert made.layers[0].size_bytes == sum(package.size_bytes for package in made.packages)


def test_what_lies_beside_the_model_in_the_bundle_does_not_change_the_image(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path]
) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    found = []
    for files in ({"golden.npz": "a", "verify.json": "b"}, {"golden.npz": "a", "image/image.json": "c"}):
        (bundle / "manifest.json").write_text(json.dumps({**manifest, "files": files, "parts": {"files": str(files)}}))
        found.append(digests(write(bundle, wheel_cache).path))
    assert found[0] == found[1]
    with tarfile.open(bundle / "image/model.tar") as tar:
        packed = json.load(tar.extractfile("bundle/manifest.json"))  # type: ignore[arg-type]
    assert packed["files"] == {"golden.npz": "a"} and packed["artifacts"] == manifest["artifacts"]


def test_what_the_base_has_is_left_out_of_the_runtime_layer(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path]
) -> None:
    base = facts.Facts("base:1", "sha256:0", provides=(("numpy", "1.24.2"), ("scipy", "1.10.1")))
    made = write(make_bundle(tmp_path / "bundle"), wheel_cache, base=base)
    assert [package.name for package in made.packages] == sorted(["onnxruntime", *serving.REQUIREMENTS])
    assert made.provided == ("numpy==1.24.2",)
    assert context.read(made.path) == made
    with tarfile.open(made.path / "runtime.tar") as tar:
        assert not [name for name in tar.getnames() if "/numpy/" in name]


def test_a_context_is_read_back_and_another_folder_is_not_taken_for_one(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path]
) -> None:
    made = write(make_bundle(tmp_path / "bundle"), wheel_cache)
    assert context.read(made.path) == made
    (made.path / "context.json").write_text('{"schema": "other"}', encoding="utf-8")
    for folder in (made.path, tmp_path):
        with pytest.raises(MissingError, match="not a complete build context"):
            context.read(folder)


def test_a_failed_write_leaves_the_earlier_context_and_nothing_else(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    bundle = make_bundle(tmp_path / "bundle")
    before = digests(write(bundle, wheel_cache).path)
    (bundle / ".image-killed").mkdir()
    with pytest.raises(MissingError):
        write(bundle, wheel_cache, runtimes=["litert", "onnxruntime"])
    assert digests(bundle / "image") == before
    (bundle / "model.float32.onnx").write_bytes(b"another model")
    after = digests(write(bundle, wheel_cache).path)
    assert {name for name in after if after[name] != before[name]} == {"model.tar", "context.json", "sbom.cdx.json"}
    assert not list(bundle.glob(".image-*"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_dockerfile_executes_nothing(family: str) -> None:
    lines = instructions(context.render(family, "registry.example/base@sha256:" + "0" * 64, {"a.b": "c"}))
    verbs = [line.split()[0] for line in lines]
    assert set(verbs) <= ALLOWED
    assert lines[:2] == [f"ARG BASE_IMAGE=registry.example/base@sha256:{'0' * 64}", "FROM ${BASE_IMAGE}"]
    added = [line for line in lines if line.startswith(("ADD", "COPY"))]
    assert [line.split()[1] for line in added] == ["runtime.tar", "runner.tar", "model.tar"]
    command = 'CMD ["bench", "--on", "adb:"]' if family == "mobile" else 'CMD ["bench"]'
    assert "USER 65532:65532" in lines and command in lines
    package = {"mobile": "edgepack.android"}.get(family, "edgepack.serving")
    assert f'ENTRYPOINT ["python3", "-m", "{package}"]' in lines


@given(st.text(max_size=40))
def test_a_label_survives_the_dockerfile(value: str) -> None:
    line = instructions(context.render("cpu", "base", {"io.edgepack.x": value}))[-1]
    found = re.search(r'io\.edgepack\.x="((?:[^"\\]|\\.)*)"', line)
    assert found, line
    assert re.sub(r"\\(.)", r"\1", found[1]) == " ".join(value.splitlines())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"family": "tpu"}, "'tpu' is not known; expected one of cpu, gpu, mobile"),
        ({"platform": "linux/s390x"}, "expected one of linux/amd64, linux/arm64"),
        ({"base_image": "a b\nRUN x"}, "is not an image's name"),
        ({"runtimes": ["tensorflow"]}, "'tensorflow' is not known"),
        ({"python_version": "three"}, "a form like '3.11'"),
    ],
)
def test_a_wrong_argument_is_refused(
    changed: dict[str, Any],
    said: str,
    tmp_path: Path,
    wheel_cache: Path,
    make_bundle: Callable[[Path], Path],
) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)):
        write(make_bundle(tmp_path / "bundle"), wheel_cache, **changed)


def test_a_phone_is_measured_from_this_machines_platform() -> None:
    assert context.image_platform("android/arm64") in ("linux/amd64", "linux/arm64")
    assert context.image_platform("linux/arm64") == "linux/arm64"
