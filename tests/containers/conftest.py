"""Is there an engine to test with? If so: its client, a tiny real bundle, and what the containers printed."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgepack.images import context, engine, facts

BASE_IMAGE = os.environ.get("EDGEPACK_BASE_IMAGE", "edgepack/base:bookworm")
RUN_TIMEOUT_S = 120
SHOWN = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class Finished:
    """What a container left: exit code, standard output, standard error."""

    returncode: int
    stdout: str
    stderr: str


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the lines that the summary shows."""
    config.stash[SHOWN] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show which image ran and what came out of it, also when all tests pass."""
    if config.stash[SHOWN]:
        terminalreporter.section("what the containers printed")
        for line in config.stash[SHOWN]:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def show(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the summary of the test run."""
    return request.config.stash[SHOWN].append


def _absent(sentence: str) -> Any:
    if os.environ.get("EDGEPACK_REQUIRE_DOCKER") == "1":
        pytest.fail(f"EDGEPACK_REQUIRE_DOCKER=1, and {sentence}", pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """The Docker SDK's client of the engine that answers; without one these tests are skipped, or fail."""
    found = engine.status()
    if found.version is None:
        _absent(found.reason)
    with contextlib.closing(engine.connect()) as connected:
        yield connected


@pytest.fixture(scope="session")
def base_image(client: Any) -> str:
    """Name of a base image of this machine's architecture with Python 3.11."""
    import docker.errors

    try:
        client.images.get(BASE_IMAGE)
    except docker.errors.ImageNotFound:
        _absent(f"the base image {BASE_IMAGE} is not on the engine; make it: containers/base/build")
    return BASE_IMAGE


@pytest.fixture(scope="session")
def platform(client: Any) -> str:
    """The engine's own platform."""
    machine = client.version()["Arch"]
    return f"linux/{machine}"


@pytest.fixture(scope="module")
def new_tag(client: Any) -> Iterator[Callable[[], str]]:
    """Gives names for images, which are removed after the file's tests."""
    names: list[str] = []

    def new() -> str:
        names.append(f"edgepack/test-{uuid.uuid4().hex[:8]}:tiny")
        return names[-1]

    yield new
    for name in names:
        with contextlib.suppress(Exception):
            client.api.remove_image(name, force=True)


@pytest.fixture
def tag(new_tag: Callable[[], str]) -> str:
    """A name for one test's image."""
    return new_tag()


@pytest.fixture(scope="session")
def wheel_cache(request: pytest.FixtureRequest) -> Path:
    """Wheels that stay from one test run to the next."""
    return Path(request.config.cache.mkdir("edgepack-wheels"))


def write_tiny_bundle(folder: Path, *, seed: int = 0) -> Path:
    """A bundle with one ONNX file that ONNX Runtime ran on this machine for the golden samples."""
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    weights = random.normal(size=(64, 10)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["y"], axis=-1),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(weights, "weights")],
    )
    folder.mkdir(parents=True)
    path = folder / "model.float32.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    samples = random.normal(size=(8, 64)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"x": samples})[0]
    key = f"output/{path.name}/onnxruntime"
    np.savez(folder / "golden.npz", **{"input": samples, "label": outputs.argmax(-1), key: outputs})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = {"dtype": "float32", "scale": None, "zero_point": None}
    artifact = {
        "file": path.name,
        "format": "onnx",
        "precision": "float32",
        "sha256": sha256,
        "size_bytes": path.stat().st_size,
        "runtimes": ["onnxruntime"],
        "inputs": [{"name": "x", "shape": [-1, 64], **spec}],
        "outputs": [{"name": "y", "shape": [-1, 10], **spec}],
        "tolerance": {"max_abs": 1e-5, "top1": 1.0},
        "lineage": [],
    }
    manifest = {
        "schema": "edgepack.manifest/1",
        "name": "tiny",
        "target": "linux-amd64-cpu",
        "platform": "linux/amd64",
        "threads": 1,
        "recipe_sha256": "0" * 64,
        "data_fingerprint": "0" * 64,
        "labels": [str(number) for number in range(10)],
        "task": "classification",
        "preprocessing": {"scale": 1.0, "offset": 0.0},
        "artifacts": [artifact],
        "golden": {"file": "golden.npz", "samples": len(samples)},
        "files": {path.name: sha256},
        "tools": {"onnxruntime": onnxruntime.__version__},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Path]:
    """Writes a bundle with one tiny real ONNX model into a new folder; another seed gives another model."""
    return write_tiny_bundle


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    """A bundle with one tiny real ONNX model."""
    return write_tiny_bundle(tmp_path / "tiny" / "linux-amd64-cpu")


@pytest.fixture(scope="session")
def base_facts(client: Any, base_image: str, platform: str) -> facts.Facts | None:
    """What the base image has already."""
    return facts.look(client, base_image, platform, "3.11", lambda line: None, pull=False)


@pytest.fixture(scope="session")
def write_context(
    wheel_cache: Path, base_image: str, base_facts: facts.Facts | None, platform: str
) -> Callable[..., context.Context]:
    """Writes a bundle's context for the engine's own platform; any argument can be changed."""

    def write(bundle: Path, **changed: Any) -> context.Context:
        arguments: dict[str, Any] = {
            "family": "cpu",
            "platform": platform,
            "runtimes": ["litert", "onnxruntime"],
            "base_image": base_image,
            "python_version": "3.11",
            "labels": {"org.opencontainers.image.title": "tiny", "io.edgepack.target": "linux-amd64-cpu"},
            "wheel_cache": wheel_cache,
            "progress": lambda line: None,
            "base": None if "base_image" in changed else base_facts,
        }
        return context.write(bundle, **{**arguments, **changed})

    return write


@pytest.fixture(scope="session")
def made(
    write_context: Callable[..., context.Context],
    make_bundle: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> context.Context:
    """The context of a tiny bundle, for tests that only read it."""
    return write_context(make_bundle(tmp_path_factory.mktemp("tiny") / "linux-amd64-cpu"))


@pytest.fixture(scope="session")
def run_image(client: Any) -> Callable[..., Finished]:
    """Runs an image as an edge device would: read-only, no network, no capability, bounded in time."""

    def run(image: str, *words: str, **options: Any) -> Finished:
        container = client.containers.run(
            image,
            list(words) or None,
            detach=True,
            init=True,
            read_only=True,
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            **options,
        )
        try:
            returncode = container.wait(timeout=RUN_TIMEOUT_S)["StatusCode"]
            stdout, stderr = (container.logs(stdout=wanted, stderr=not wanted).decode() for wanted in (True, False))
            return Finished(returncode, stdout, stderr)
        finally:
            container.remove(force=True)

    return run


@pytest.fixture
def make_base(client: Any, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Makes images that look like a base from the outside: an architecture, and where python3 leads to."""
    made: list[str] = []

    def make(platform: str, python: str | None) -> str:
        folder = tmp_path / f"base-{len(made)}"
        (folder / "usr/bin").mkdir(parents=True)
        (folder / "usr/bin/anything").write_text("")
        if python:
            (folder / "usr/bin" / python).write_text("")
            (folder / "usr/bin/python3").symlink_to(python)
        (folder / "Dockerfile").write_text('FROM scratch\nCOPY usr /usr\nENV PATH=/usr/bin\nCMD ["python3"]\n')
        name = f"edgepack/test-base-{uuid.uuid4().hex[:8]}:tiny"
        client.images.build(path=str(folder), tag=name, platform=platform, network_mode="none", rm=True)
        made.append(name)
        return name

    yield make
    for name in made:
        with contextlib.suppress(Exception):
            client.api.remove_image(name, force=True)
