import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath

import pytest

from edgepack import transports
from edgepack.errors import DeviceError, MissingError
from edgepack.images import engine
from edgepack.transports.docker import Docker

BASE = "edgepack/base:bookworm"


def test_no_engine_is_something_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no container engine answers"):
        Docker("anything", host=f"unix://{tmp_path}/docker.sock")


@pytest.fixture(scope="module")
def image() -> str:
    """The project's own base image on a real engine."""
    status = engine.status()
    required = os.environ.get("EDGEPACK_REQUIRE_DOCKER") == "1"
    if status.version is None:
        if required:
            pytest.fail(f"EDGEPACK_REQUIRE_DOCKER=1, but {status.reason}")
        pytest.skip(f"needs a container engine: {status.reason}")
    with closing(engine.connect()) as client:
        if not client.images.list(name=BASE):
            if required:
                pytest.fail(f"EDGEPACK_REQUIRE_DOCKER=1, but the engine has no {BASE}; run containers/base/build")
            pytest.skip(f"needs the image {BASE}: run containers/base/build")
    return BASE


@pytest.fixture
def device(image: str) -> Iterator[Docker]:
    with transports.connect(f"docker:{image}") as opened:
        assert isinstance(opened, Docker)
        yield opened


def containers_of(device: Docker) -> list[str]:
    with closing(engine.connect()) as client:
        return [c.name for c in client.containers.list(all=True, filters={"name": f"{device.prefix}-"})]


def python(program: str) -> list[str]:
    return ["python3", "-c", program]


def test_an_unknown_image_is_something_missing(image: str) -> None:
    with pytest.raises(MissingError, match="no image 'edgepack/nothing:here'"):
        Docker("edgepack/nothing:here")


def test_output_and_exit_code_come_back_apart(device: Docker) -> None:
    done = device.run(
        python("import os, sys; print('out ä', os.environ['K']); print('err', file=sys.stderr); sys.exit(3)"),
        timeout_s=60,
        env={"K": "v w"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "out ä v w\n", "err\n")
    assert done.argv[:3] == ("docker", "run", BASE)


def test_a_long_line_comes_back_whole(device: Docker) -> None:
    done = device.run(python("print('x' * 3_000_000)"), timeout_s=60)
    assert len(done.stdout) == 3_000_001


def test_nobody_without_network_or_privileges_and_nothing_to_write(device: Docker) -> None:
    program = """
import os, socket
print(os.getuid(), os.getgid(), os.getpid() != 1)
print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])
print(sorted(name for _, name in socket.if_nameindex()))
for path in ('/opt/x', '/x', '/usr/x', '/tmp/x'):
    try:
        open(path, 'w').close(); print(path, 'written')
    except OSError as error:
        print(path, error.strerror)
"""
    lines = device.run(python(program), timeout_s=60).stdout.splitlines()
    assert lines[0] == "65532 65532 True"
    assert lines[1] == str(["0" * 16, "0" * 16, "1"])
    assert lines[2] == "['lo']"
    assert [line.endswith("written") for line in lines[3:]] == [False, False, False, True]


def test_closed_files_are_readable_inside_and_not_writable(device: Docker, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("content")
    (folder / "deep" / "file").chmod(0o600)
    folder.chmod(0o700)
    device.push(folder, PurePosixPath("/bundle"))
    device.push(folder / "deep" / "file", PurePosixPath("relative/file"))
    done = device.run(python("print(open('/bundle/deep/file').read() + open('relative/file').read())"), timeout_s=60)
    assert done.stdout == "contentcontent\n", done.stderr
    assert device.run(python("open('/bundle/deep/file', 'w')"), timeout_s=60).returncode == 1


def test_a_file_of_the_kernel_can_be_replaced(device: Docker, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model name\t: Toaster\n")
    device.push(tmp_path / "cpuinfo", PurePosixPath("/proc/cpuinfo"))
    assert "Toaster" in device.run(python("print(open('/proc/cpuinfo').read())"), timeout_s=60).stdout


def test_no_container_outlives_its_run(device: Docker) -> None:
    device.run(python("pass"), timeout_s=60)
    with pytest.raises(DeviceError, match=r"did not finish within 1\.5 s; it last said: waiting"):
        device.run(python("import time; print('waiting', flush=True); time.sleep(600)"), timeout_s=1.5)
    assert device.run(["no-such-program"], timeout_s=60).returncode == 127
    assert containers_of(device) == []


def test_too_much_memory_is_said_to_be_that(image: str) -> None:
    with Docker(image, memory_mib=32) as device, pytest.raises(DeviceError, match="more than 32 MiB"):
        device.run(python("x = bytearray(256 * 2**20); print(len(x))"), timeout_s=60)


def test_an_entry_point_can_be_set_and_removed(image: str) -> None:
    with Docker(image, entrypoint=["python3", "-c"]) as device:
        assert device.run(["print(1 + 1)"], timeout_s=60).stdout == "2\n"
    with Docker(image, entrypoint=[]) as device:
        assert device.run(python("print('plain')"), timeout_s=60).stdout == "plain\n"


def test_closing_twice_is_safe(image: str) -> None:
    device = Docker(image)
    device.close()
    device.close()


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect what a test left while its warning filters still hold."""
    yield
    gc.collect()


# The Docker SDK leaves a socket to the collector when it cannot connect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("collected")
def test_an_engine_that_goes_away_in_mid_run_is_an_error_of_the_device(image: str, tmp_path: Path) -> None:
    """A relay stands in for the engine's socket, and is cut while a container runs."""
    relay = Relay(tmp_path / "relay.sock")
    try:
        with Docker(image, host=f"unix://{relay.path}") as device:
            threading.Timer(2.0, relay.cut).start()
            with pytest.raises(DeviceError, match="the container engine failed while running"):
                device.run(python("import time; time.sleep(600)"), timeout_s=60)
    finally:
        relay.cut()
        # With its engine gone the run could not remove its container; this one can.
        with closing(engine.connect()) as client:
            for name in containers_of(device):
                client.api.remove_container(name, force=True)


class Relay:
    """A socket that passes everything on to the engine until it is cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            target = socket.socket(socket.AF_UNIX)
            target.connect(os.environ.get("DOCKER_HOST", engine.DEFAULT_HOST).removeprefix("unix://"))
            self._open += [client, target]
            for source, sink in ((client, target), (target, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self) -> None:
        self.path.unlink(missing_ok=True)
        for opened in [*self._open, self._server]:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        time.sleep(0.05)
