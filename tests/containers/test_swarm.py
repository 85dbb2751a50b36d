"""Does the engine's own Swarm run three copies of the Compose file, and replace them without losing a request?"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
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
MANY = 200
WAIT_S = 150
STACK, CLIENTS = "edgepack-test", "edgepack-test-clients"
OLD, NEW = 0, 1
TOKEN = "a-token-of-the-tests-clients"


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
        bundle.seal(folder)
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
    return folder


@pytest.fixture
def asked(swarm: Any, base_image: str, versions: list[tuple[Path, str]]) -> Iterator[Callable[[], Any]]:
    """Clients inside the service's network, and what they have seen so far: answers of each version, failures.

    They are inside because the mesh behind a published port needs IPVS, which not every kernel has.
    """
    with np.load(versions[OLD][0] / "golden.npz") as golden:
        row = golden["input"][:1]
    tensor = {"name": "x", "shape": [1, 64], "datatype": "FP32", "data": row.ravel().tolist()}
    wanted = {
        "service": f"{STACK}_tiny",
        "path": "/v2/models/tiny/infer",
        "token": TOKEN,
        "body": json.dumps({"inputs": [tensor]}),
        "expected": [_answer(folder, row) for folder, _ in versions],
    }
    code = (Path(__file__).parent / "asking.py").read_text()
    made: list[Any] = []

    def seen() -> Any:
        if not made:
            made.append(
                swarm.services.create(
                    base_image,
                    command=["python3", "-c", code],
                    env=[f"ASKING={json.dumps(wanted)}"],
                    name=CLIENTS,
                    networks=[f"{STACK}_default"],
                )
            )
        found = swarm.containers.list(filters={"label": f"com.docker.swarm.service.name={CLIENTS}"})
        lines = found[0].logs(stdout=True, stderr=False, tail=1).decode().splitlines() if found else []
        return json.loads(lines[-1]) if lines else {"answers": [0, 0], "failures": []}

    try:
        yield seen
    finally:
        for service in made:
            service.remove()


def _answer(folder: Path, row: Any) -> list[float]:
    session = onnxruntime.InferenceSession(folder / "model.float32.onnx", providers=["CPUExecutionProvider"])
    return [float(value) for value in session.run(None, {"x": row})[0].ravel()]


def test_an_update_under_load_loses_no_request(
    swarm: Any,
    versions: list[tuple[Path, str]],
    asked: Callable[[], Any],
    tmp_path: Path,
    show: Callable[[str], None],
) -> None:
    def deploy(number: int) -> float:
        """Deploy a version and wait until all copies are of it, seconds."""
        begun = time.monotonic()
        folder, tag = versions[number]
        wanted = deployment.Options(
            image=tag,
            kinds=("compose",),
            name="tiny",
            replicas=COPIES,
            max_replicas=COPIES,
            port=port,
            tokens="tiny-tokens",
        )
        deployment.deploy(folder, tmp_path, wanted)
        (tmp_path / "compose" / "tiny-tokens").write_text(f"{TOKEN}\n")
        file = str(tmp_path / "compose" / "compose.yaml")
        _docker("stack", "deploy", "--resolve-image", "never", "--compose-file", file, STACK)
        _until(lambda: _running(swarm, tag) == COPIES and _updated(swarm), WAIT_S)
        return time.monotonic() - begun

    port = _free_port()
    started_s = deploy(OLD)
    _check_rights(swarm)
    _check_token(swarm)
    _until(lambda: asked()["answers"][OLD] > MANY or bool(asked()["failures"]), 60)
    assert asked()["answers"][NEW] == 0
    updated_s = deploy(NEW)
    before = asked()["answers"]
    _until(lambda: asked()["answers"][NEW] > before[NEW] + MANY or bool(asked()["failures"]), 30)
    after = asked()
    memory = [_memory_mib(container) for container in _containers(swarm)]
    held = ", ".join(f"{peak:.0f} of {limit:.0f}" for peak, limit in memory)
    show(
        f"swarm: {COPIES} copies ready after {started_s:.0f} s, replaced in {updated_s:.0f} s under load; "
        f"{after['answers'][OLD]} requests answered by the old image, {after['answers'][NEW]} by the new, "
        f"{len(after['failures'])} failed; memory {held} MiB"
    )
    assert after["failures"] == []
    assert after["answers"][OLD] == before[OLD], "an old copy answered after the update"
    assert all(peak < limit for peak, limit in memory)


def _check_rights(client: Any) -> None:
    for container in _containers(client):
        host = container.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
        assert container.attrs["Config"]["User"] == "65532:65532"
        assert host["Memory"] == 256 * 2**20
        assert host["NanoCpus"] == 2 * 10**9


def _check_token(client: Any) -> None:
    """Without its token the service tells nothing but its health."""
    code = (
        "import urllib.error, urllib.request\n"
        "for path in ('/v2/health/live', '/v2/models/tiny'):\n"
        "    try: print(urllib.request.urlopen('http://127.0.0.1:8000' + path).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code)\n"
    )
    assert _containers(client)[0].exec_run(["python3", "-c", code]).output.split() == [b"200", b"401"]


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
    state = _service(client).attrs.get("UpdateStatus", {}).get("State", "completed")
    assert state in ("updating", "completed"), state
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
