"""Does every way in which a build can fail give one clear error, and leave nothing behind?"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from edgepack.errors import DeviceError, EdgepackError, MissingError, RecipeError
from edgepack.images import context, engine, facts

pytestmark = pytest.mark.engine

WriteContext = Callable[..., context.Context]


def failure(made: context.Context, tag: str, **changed: Any) -> EdgepackError:
    arguments: dict[str, Any] = {
        "tag": tag,
        "platform": made.platform,
        "base_image": made.base_image,
        "progress": lambda line: None,
    }
    with pytest.raises(EdgepackError) as caught:
        engine.build(made.path, **{**arguments, **changed})
    return caught.value


def other(platform: str) -> str:
    return "linux/arm64" if platform == "linux/amd64" else "linux/amd64"


def test_a_base_image_for_another_platform_is_refused(
    made: context.Context, tag: str, platform: str, make_base: Callable[..., str]
) -> None:
    error = failure(made, tag, base_image=make_base(other(platform), "python3.11"))
    assert isinstance(error, MissingError) and error.exit_code == 3
    assert f"is for {other(platform)}; one for {platform} is needed" in error.message
    assert f"--platform {platform}" in error.fix


@pytest.mark.parametrize(("python", "said"), [("python3.12", "has /usr/bin/python3.12"), (None, "no python3")])
def test_a_base_image_with_another_python_is_refused(
    python: str | None,
    said: str,
    made: context.Context,
    tag: str,
    platform: str,
    make_base: Callable[..., str],
) -> None:
    error = failure(made, tag, base_image=make_base(platform, python))
    assert isinstance(error, MissingError)
    assert said in error.message


def test_a_base_image_that_cannot_be_read_is_named_with_the_ways_out(made: context.Context, tag: str) -> None:
    error = failure(made, tag, base_image="registry.invalid/no/base:1")
    assert isinstance(error, MissingError) and error.exit_code == 3
    assert "registry.invalid/no/base:1" in error.message
    assert "--base-image" in error.fix and "containers/base/build" in error.fix


def test_a_base_without_the_packages_that_were_left_to_it_is_refused(
    tiny_bundle: Path, write_context: WriteContext, tag: str, platform: str, make_base: Callable[..., str]
) -> None:
    known = facts.Facts("with-numpy:1", "sha256:0", provides=(("numpy", "1.24.2"),))
    made = write_context(tiny_bundle, base=known)
    error = failure(made, tag, base_image=make_base(platform, "python3.11"))
    assert isinstance(error, MissingError)
    assert "does not have numpy==1.24.2" in error.message and "--base-image" in error.fix


def test_a_context_for_another_platform_is_refused(made: context.Context, tag: str, platform: str) -> None:
    error = failure(made, tag, platform=other(platform))
    assert isinstance(error, RecipeError)


def test_another_architecture_is_built_without_executing_anything_of_it(
    client: Any,
    tiny_bundle: Path,
    write_context: WriteContext,
    tag: str,
    platform: str,
    make_base: Callable[..., str],
) -> None:
    foreign = other(platform)
    base = make_base(foreign, "python3.11")
    made = write_context(tiny_bundle, platform=foreign, base_image=base)
    engine.build(made.path, tag=tag, platform=foreign, base_image=base, progress=lambda line: None)
    record = client.api.inspect_image(tag)
    assert f"{record['Os']}/{record['Architecture']}" == foreign


@dataclass
class PrivateEngine:
    """An engine of this test's own: its folder, where it listens, and its process, which may be killed."""

    folder: Path
    host: str
    process: subprocess.Popen[bytes]
    client: Any

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def nameless(self) -> list[str]:
        """Ids of the images without a name, the newest first."""
        found = [image["Id"] for image in self.client.api.images(all=True)]
        return [image for image in found if not self.client.api.inspect_image(image)["RepoTags"]]

    def restart(self) -> None:
        """Start it again over what it left."""
        _end_containerd(self.folder)
        self.process = _start(self.folder)


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    """A dockerd that keeps everything in a folder; returns when it answers."""
    host = f"unix://{folder}/docker.sock"
    (folder / "dockerd.pid").unlink(missing_ok=True)
    options = ["--host", host, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
    options += ["--pidfile", f"{folder}/dockerd.pid", "--bridge=none", "--iptables=false"]
    with (folder / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(["dockerd", *options], stdout=log, stderr=log, start_new_session=True)
    for _ in range(300):
        if engine.available(host):
            break
        time.sleep(0.1)
        assert process.poll() is None, (folder / "dockerd.log").read_text()
    return process


@contextlib.contextmanager
def _engine(client: Any, base_image: str, data_mib: int | None = None) -> Iterator[PrivateEngine]:
    """A second real dockerd with the base image in it, on a disk of its own where a size is given."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a second engine needs dockerd and root")
    # Not pytest's folder: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="edgepack-"))
    (folder / "data").mkdir()
    if data_mib:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={data_mib}m", "tmpfs", str(folder / "data")]
        subprocess.run(mount, check=True, timeout=20)
    private = PrivateEngine(folder, f"unix://{folder}/docker.sock", _start(folder), None)
    try:
        with contextlib.closing(engine.connect(private.host)) as private.client:
            private.client.images.load(b"".join(client.images.get(base_image).save(named=True)))
            yield private
    finally:
        _stop(private.process, folder)


@pytest.fixture
def private_engine(client: Any, base_image: str) -> Iterator[PrivateEngine]:
    """An engine that may be killed."""
    with _engine(client, base_image) as private:
        yield private


@pytest.fixture
def full_engine(client: Any, base_image: str) -> Iterator[PrivateEngine]:
    """An engine whose disk has room for the base image and little more."""
    size = client.api.inspect_image(base_image)["Size"]
    with _engine(client, base_image, data_mib=2 * size // 2**20 + 50) as private:
        yield private


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _end_containerd(folder)
    for line in reversed(Path("/proc/mounts").read_text(encoding="utf-8").splitlines()):
        mounted = line.split()[1]
        if mounted.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mounted], check=False, timeout=20)
    shutil.rmtree(folder, ignore_errors=True)


def _end_containerd(folder: Path) -> None:
    """End the process that outlives an engine which was killed."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "exec/containerd/containerd.pid").read_text())
        if "containerd" in Path(f"/proc/{pid}/comm").read_text():
            os.kill(pid, signal.SIGTERM)
            for _ in range(50):
                os.kill(pid, 0)
                time.sleep(0.1)


def test_a_layer_that_somebody_removes_under_a_build_is_made_again(
    made: context.Context, tag: str, private_engine: PrivateEngine
) -> None:
    removed: list[str] = []

    def remove_the_newest(step: str) -> None:
        nameless = private_engine.nameless()
        if nameless and not removed:
            with contextlib.suppress(docker.errors.APIError):  # a step's container holds it; one of the next will do
                private_engine.client.api.remove_image(nameless[0])
                removed.append(step)

    image = engine.build(
        made.path,
        tag=tag,
        platform=made.platform,
        base_image=made.base_image,
        host=private_engine.host,
        progress=remove_the_newest,
    )
    assert removed
    assert private_engine.client.api.inspect_image(tag)["Id"] == image.id


def ids(private: PrivateEngine) -> set[str]:
    return {image["Id"] for image in private.client.api.images(all=True)}


def test_an_engine_that_dies_in_the_middle_of_a_build_is_a_device_error_and_cleaned_up_later(
    private_engine: PrivateEngine, tiny_bundle: Path, write_context: WriteContext, base_image: str
) -> None:
    made = write_context(tiny_bundle, runtimes=["onnxruntime"])
    before = {path.name: path.read_bytes() for path in tiny_bundle.rglob("*") if path.is_file()}
    images = ids(private_engine)

    def kill(line: str) -> None:
        if "ADD runtime.tar" in line:
            private_engine.kill()

    error = failure(made, "edgepack/test:dies", host=private_engine.host, progress=kill)
    assert isinstance(error, DeviceError) and error.exit_code == 6
    assert "stopped answering in the middle of the build" in error.message and "start it again" in error.fix
    assert before == {path.name: path.read_bytes() for path in tiny_bundle.rglob("*") if path.is_file()}

    private_engine.restart()
    assert ids(private_engine) > images  # what the engine had finished when it died
    assert private_engine.client.api.containers(all=True) == []
    engine.build(
        made.path,
        tag="edgepack/test:again",
        platform=made.platform,
        base_image=base_image,
        progress=lambda line: None,
        host=private_engine.host,
    )
    private_engine.client.api.remove_image("edgepack/test:again")
    assert ids(private_engine) == images


def test_an_engine_without_space_says_so_and_keeps_nothing(
    full_engine: PrivateEngine, tiny_bundle: Path, write_context: WriteContext
) -> None:
    made = write_context(tiny_bundle)
    before = ids(full_engine)
    error = failure(made, "edgepack/test:full", host=full_engine.host)
    assert isinstance(error, MissingError) and error.exit_code == 3
    assert "has no space left for the image" in error.message and "docker system df" in error.fix
    assert ids(full_engine) == before
    assert full_engine.client.api.containers(all=True) == []


def test_a_refused_build_and_a_replaced_image_leave_nothing_behind(
    private_engine: PrivateEngine,
    tmp_path: Path,
    make_bundle: Callable[..., Path],
    write_context: WriteContext,
    base_image: str,
) -> None:
    made = write_context(make_bundle(tmp_path / "one"))
    (made.path / "runner.tar").rename(tmp_path / "runner.tar")
    before = ids(private_engine)
    error = failure(made, "edgepack/test:refused", host=private_engine.host)
    assert isinstance(error, DeviceError)
    assert "runner.tar" in error.message and "docker build" in error.fix
    assert ids(private_engine) == before

    (tmp_path / "runner.tar").rename(made.path / "runner.tar")
    second = write_context(make_bundle(tmp_path / "two", seed=1))
    found = []
    for each in (made, second):
        image = engine.build(
            each.path,
            tag="edgepack/test:replaced",
            platform=each.platform,
            base_image=base_image,
            progress=lambda line: None,
            host=private_engine.host,
        )
        found.append(image.id)
    assert found[0] != found[1]
    assert not private_engine.client.api.images(filters={"dangling": True})
    assert found[0] not in ids(private_engine)
    assert private_engine.client.api.containers(all=True) == []
