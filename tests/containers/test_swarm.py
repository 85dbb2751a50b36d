"""Does the engine's own Swarm run three copies of the Compose file, and replace them without losing a request?"""

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgepack import bundle, deployment, target
from edgepack.images import context, engine

pytest.importorskip("edgepack.serving", reason="this edgepack has images that only measure")
pytestmark = pytest.mark.engine

COPIES = 3
CLIENTS = 4
WAIT_S = 150
STACK = "edgepack-test"
OLD, NEW = 0, 1


@pytest.fixture(scope="module")
def swarm(client: Any) -> Iterator[Any]:
    """A swarm of this engine alone, on the loopback interface; left again at the end."""
    if shutil.which("docker") is None:
        pytest.skip("the docker command line is not installed; the engine alone is")
    if client.info()["Swarm"]["LocalNodeState"] != "inactive":
        pytest.skip("this engine is in a swarm already")
    client.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            _docker("stack", "rm", STACK)
            _until(lambda: not _containers(client), 60)
        client.swarm.leave(force=True)


@pytest.fixture(scope="module")
def versions(
    make_bundle: Callable[..., Path],
    write_context: Callable[..., context.Context],
    new_tag: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[Path, str]]:
    """Two bundles with the images that serve them: the same model with other weights."""
    made = []
    for seed in (OLD, NEW):
        folder = _deployable(make_bundle(tmp_path_factory.mktemp("swarm") / "linux-amd64-cpu", seed=seed))
        image, tag = write_context(folder), new_tag()
        engine.build(
            image.path, tag=tag, platform=image.platform, base_image=image.base_image, progress=lambda line: None
        )
        made.append((folder, tag))
    return made


def _deployable(folder: Path) -> Path:
    """The rest of what `edgepack run` leaves in a bundle."""
    manifest = json.loads((folder / "manifest.json").read_text())
    artifact = manifest["artifacts"][0]
    record = {"file": artifact["file"], "runtime": "onnxruntime", "status": "ok"}
    measured = {"artifact": artifact["file"], "runtime": "onnxruntime", "status": "ok", "peak_rss_mib": 64.0}
    latency = {"host": {"environment": {"emulated": False}, "results": [measured]}, "container": None}
    (folder / "verify.json").write_text(json.dumps({"artifacts": [record], "gates": []}))
    (folder / "latency.json").write_text(json.dumps(latency))
    changed = {"smoke": False, "columns": [], "target_spec": target.load("linux-amd64-cpu").resolved()}
    choice = {"artifact": artifact["file"], "runtime": "onnxruntime"}
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changed, "choice": choice}))
    bundle.seal(folder)
    return folder


class Load:
    """Clients that ask without a pause and look at every answer; half of them keep their connections."""

    def __init__(self, port: int, bundles: list[Path]) -> None:
        self.port = port
        with np.load(bundles[OLD] / "golden.npz") as golden:
            self.row = golden["input"][:1]
        tensor = {"name": "x", "shape": [1, 64], "datatype": "FP32", "data": self.row.ravel().tolist()}
        self.body = json.dumps({"inputs": [tensor]})
        self.expected = [self._answer(folder) for folder in bundles]
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(CLIENTS)]

    def _answer(self, folder: Path) -> Any:
        session = onnxruntime.InferenceSession(folder / "model.float32.onnx", providers=["CPUExecutionProvider"])
        return session.run(None, {"x": self.row})[0].ravel()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, keep: bool) -> None:
        connection = self._connect()
        while not self._end.is_set():
            try:
                version = self.ask(connection)
            except Exception as error:
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
                connection = self._connect()
                continue
            with self._lock:
                self.answers[version] += 1
            if not keep:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, connection: http.client.HTTPConnection) -> int:
        """Which version answered."""
        connection.request("POST", "/v2/models/tiny/infer", self.body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, f"{response.status} {content[:200]!r}"
        output = np.array(json.loads(content)["outputs"][0]["data"], np.float32)
        (version,) = (n for n, known in enumerate(self.expected) if np.allclose(output, known, atol=1e-4))
        return version


def test_an_update_under_load_loses_no_request(
    swarm: Any, versions: list[tuple[Path, str]], tmp_path: Path, show: Callable[[str], None]
) -> None:
    port = _free_port()

    def deploy(number: int) -> None:
        folder, tag = versions[number]
        wanted = deployment.Options(
            image=tag, kinds=("compose",), name="tiny", replicas=COPIES, max_replicas=COPIES, port=port
        )
        deployment.deploy(folder, tmp_path, wanted)
        file = str(tmp_path / "compose" / "compose.yaml")
        _docker("stack", "deploy", "--resolve-image", "never", "--compose-file", file, STACK)

    deploy(OLD)
    begun = time.monotonic()
    _until(lambda: _running(swarm, versions[OLD][1]) == COPIES, WAIT_S)
    started_s = time.monotonic() - begun
    _check_rights(swarm)
    load = Load(port, [folder for folder, _ in versions])
    _until(lambda: _asks(load), 30)
    with load:
        _until(lambda: sum(load.answers.values()) > 50 or bool(load.failures), 30)
        assert load.answers[NEW] == 0
        begun = time.monotonic()
        deploy(NEW)
        _until(lambda: _running(swarm, versions[NEW][1]) == COPIES and _updated(swarm), WAIT_S)
        updated_s = time.monotonic() - begun
        late = load.answers[NEW]
        _until(lambda: load.answers[NEW] > late + 50 or bool(load.failures), 30)
        memory = [_memory_mib(container) for container in _containers(swarm)]
    asked = sum(load.answers.values())
    show(
        f"swarm: {COPIES} copies ready after {started_s:.0f} s, replaced in {updated_s:.0f} s under {CLIENTS} clients; "
        f"{asked} requests, {load.answers[OLD]} by the old image, {load.answers[NEW]} by the new, "
        f"{len(load.failures)} failed; memory {', '.join(f'{peak:.0f} of {limit:.0f}' for peak, limit in memory)} MiB"
    )
    assert load.failures == []
    assert load.answers[OLD] > 50 and load.answers[NEW] > 50
    with contextlib.closing(load._connect()) as connection:
        assert load.ask(connection) == NEW
    assert all(peak < limit for peak, limit in memory)


def _asks(load: Load) -> bool:
    """Whether the published port answers: the mesh takes a moment longer than the tasks."""
    with contextlib.closing(load._connect()) as connection, contextlib.suppress(OSError, http.client.HTTPException):
        return load.ask(connection) == OLD
    return False


def _check_rights(client: Any) -> None:
    for container in _containers(client):
        host = container.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
        assert container.attrs["Config"]["User"] == "65532:65532"
        assert host["Memory"] == 256 * 2**20
        assert host["NanoCpus"] == 2 * 10**9


def _containers(client: Any) -> list[Any]:
    return list(client.containers.list(filters={"label": f"com.docker.stack.namespace={STACK}"}))


def _service(client: Any) -> Any:
    return client.services.get(f"{STACK}_tiny")


def _running(client: Any, tag: str) -> int:
    """Tasks of an image that run; a task with a health check runs when it is healthy."""
    tasks = _service(client).tasks(filters={"desired-state": "running"})
    failed = [task["Status"].get("Err") for task in tasks if task["Status"]["State"] in ("failed", "rejected")]
    assert not failed, failed
    image = [task for task in tasks if task["Spec"]["ContainerSpec"]["Image"] == tag]
    return sum(task["Status"]["State"] == "running" for task in image)


def _updated(client: Any) -> bool:
    state = _service(client).attrs.get("UpdateStatus", {}).get("State")
    assert state not in ("paused", "rollback_started", "rollback_completed", "rollback_paused"), state
    return bool(state == "completed")


def _memory_mib(container: Any) -> tuple[float, float]:
    """The most that a container held, or holds where the kernel does not tell, and what it may hold."""
    stats = container.stats(stream=False)["memory_stats"]
    return stats.get("max_usage", stats["usage"]) / 2**20, stats["limit"] / 2**20


def _until(there: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.25)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
