"""What does serving cost: until a container is ready, in memory, and on top of each inference?

    python benchmarks/serving.py                    # a bundle of examples/digits in out/; about ten minutes
    python benchmarks/serving.py --short            # the same in a minute, only to see that it works
    python benchmarks/serving.py --page             # write the figures of the results into docs/serving.md again

Needs ``wrk`` (``apt-get install wrk``), ``pip install fastapi 'uvicorn[standard]'`` for the other side, and for the
container an engine and the bundle's image (``edgepack image``); without them the process alone is measured, and the
results say why.

Three servers run side by side, as processes of this machine, each as it comes: this one asked in JSON, the same asked
with binary tensor data, and `plain_server.py` (FastAPI) asked in JSON. They take turns under wrk, and with them the
floor: the runner's session in a process of its own, called in a loop. What a request costs on top of inference is the
difference of the medians at one connection, wrk's and the kernel's share included. Results:
``benchmarks/results/serving.json`` and a part of ``docs/serving.md``.
"""

import argparse
import contextlib
import http.client
import importlib.metadata
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from serving_page import write_page

from edgepack.environment import describe
from edgepack.runner import bundle, sessions
from edgepack.runner.tensors import TensorSpec

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "serving.json"
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
VERSIONS = (
    "uvicorn",
    "starlette",
    "httptools",
    "orjson",
    "fastapi",
    "uvloop",
    "onnxruntime",
    "ai-edge-litert",
    "numpy",
)

# wrk counts; this only says what is sent, and prints what was counted as one line of JSON.
LUA = """
local file = io.open(os.getenv("WRK_BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
for name, value in string.gmatch(os.getenv("WRK_HEADERS"), "([^:;]+):([^;]+)") do wrk.headers[name] = value end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"p50_us":%d,"p90_us":%d,"p99_us":%d,"requests":%d,"us":%d,"errors":%d}\\n',
    latency:percentile(50), latency:percentile(90), latency:percentile(99), summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Subject:
    """A server and how it is asked."""

    name: str
    port: int
    path: str
    body: bytes
    headers: str


def main() -> None:
    """Measure, write the results, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "out" / "digits" / "linux-amd64-cpu")
    parser.add_argument("--artifact", default="model.float32.onnx", help="a float file (%(default)s)")
    parser.add_argument("--image", default="edgepack/digits:linux-amd64-cpu", help="the bundle's image (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn-s", type=int, default=5)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="one round of a second each, two starts")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--floor", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.floor:
        print(json.dumps(floor(arguments.floor[0], Path(arguments.floor[1]), float(arguments.floor[2]))))
        return
    if not arguments.page:
        if arguments.short:
            arguments.rounds, arguments.turn_s, arguments.starts = 1, 1, 2
        RESULTS.write_text(json.dumps(measure(arguments), indent=1) + "\n")
    write_page(json.loads(RESULTS.read_text()))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of one run."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    (entry,) = bundle.read(arguments.bundle, artifacts=[arguments.artifact])[:1]
    name = json.loads((arguments.bundle / "manifest.json").read_text())["name"]
    with sessions.open_session(entry.runtime, entry.path) as session:
        (source,) = session.inputs
    starts = {"process": [process_start(arguments) for _ in range(arguments.starts)]}
    container, reason = container_starts(arguments)
    rounds = []
    with tempfile.TemporaryDirectory() as folder, servers(arguments, entry, source, name) as (subjects, memory):
        for number in range(arguments.rounds):
            found: dict[str, Any] = {"floor": fresh_floor(entry, arguments.turn_s)}
            for connections in CONNECTIONS:
                for subject in subjects[number % len(subjects) :] + subjects[: number % len(subjects)]:
                    counted = wrk(subject, connections, arguments.turn_s, Path(folder))
                    found.setdefault(subject.name, {})[str(connections)] = counted
                    print(f"round {number + 1}, {subject.name}, {connections} connections: {counted}", flush=True)
            rounds.append(found)
        peaks = {key: peak_mib(pid) for key, pid in memory.items()}
    return {
        "command": " ".join(["python", "benchmarks/serving.py", *sys.argv[1:]]),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "environment": describe(),
        "versions": {package: version(package) for package in VERSIONS},
        "artifact": arguments.artifact,
        "runtime": entry.runtime,
        "turn_s": arguments.turn_s,
        "starts_s": {**starts, "container": container},
        "container_reason": reason,
        "peak_mib": peaks,
        "rounds": rounds,
    }


@contextlib.contextmanager
def servers(
    arguments: argparse.Namespace, entry: bundle.Entry, source: TensorSpec, name: str
) -> Iterator[tuple[list[Subject], dict[str, int]]]:
    """Both servers, each how it is asked, and their processes."""
    shape = [max(size, 1) for size in source.shape]
    values = np.random.default_rng(0).uniform(0, 1, shape).round(4).astype(np.float32)
    numbers = [round(float(value), 4) for value in values.ravel()]
    tensor = {"name": source.name, "shape": shape, "datatype": "FP32"}
    head = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": values.nbytes}}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    ours, plain = free_port(), free_port()
    infer = f"/v2/models/{name}/infer"
    subjects = [
        Subject("edgepack, JSON", ours, infer, json.dumps({"inputs": [{**tensor, "data": numbers}]}).encode(), ""),
        Subject(
            "edgepack, binary", ours, infer, head + values.tobytes(), f"Inference-Header-Content-Length:{len(head)}"
        ),
        Subject(
            "FastAPI, JSON", plain, "/predict", json.dumps({"data": numbers}).encode(), "Content-Type:application/json"
        ),
    ]
    with contextlib.ExitStack() as stack:
        pids = {}
        script = [str(ROOT / "benchmarks" / "plain_server.py"), str(entry.path), str(plain)]
        for key, argv in (("edgepack", serve_words(arguments, ours)), ("FastAPI", script)):
            process = stack.enter_context(running(argv))
            pids[key] = process.pid
        wait_for(ours, "/v2/health/ready", 60)
        wait_for(plain, "/docs", 60)
        yield subjects, pids


def serve_words(arguments: argparse.Namespace, port: int) -> list[str]:
    """The words behind ``python`` that start this server, as an image does."""
    words = ["--bundle", str(arguments.bundle), "--artifact", arguments.artifact]
    return ["-m", "edgepack.serving", "serve", *words, "--host", "127.0.0.1", "--port", str(port)]


@contextlib.contextmanager
def running(words: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python process that is ended afterwards."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def process_start(arguments: argparse.Namespace) -> float:
    """Seconds from the start of a process of this machine until it is ready."""
    port = free_port()
    began = time.perf_counter()
    with running(serve_words(arguments, port)):
        return wait_for(port, "/v2/health/ready", 60) - began


def container_starts(arguments: argparse.Namespace) -> tuple[list[dict[str, float]], str | None]:
    """Seconds from the engine's own record of the start, and from the call to it, until ready; and memory."""
    from edgepack.images import engine

    status = engine.status()
    if status.version is None:
        return [], status.reason
    with contextlib.closing(engine.connect()) as client:
        if not any(arguments.image in image.tags for image in client.images.list()):
            return [], f"the engine has no image {arguments.image}; make it with `edgepack image`"
        return [container_start(client, arguments) for _ in range(arguments.starts)], None


def container_start(client: Any, arguments: argparse.Namespace) -> dict[str, float]:
    """One start of a container without rights."""
    port = free_port()
    container = client.containers.create(
        arguments.image,
        ["serve", "--artifact", arguments.artifact, "--host", "127.0.0.1", "--port", str(port)],
        read_only=True,
        cap_drop=["ALL"],
        user="65532",
        network_mode="host",
    )
    try:
        called, called_at = time.perf_counter(), time.time()
        container.start()
        ready_at = called_at + wait_for(port, "/v2/health/ready", 60) - called
        container.reload()
        state = container.attrs["State"]
        started = datetime.fromisoformat(state["StartedAt"][:26].rstrip("Z") + "+00:00").timestamp()
        return {
            "since_start_s": round(ready_at - started, 4),
            "since_call_s": round(ready_at - called_at, 4),
            "peak_mib": peak_mib(state["Pid"]),
        }
    finally:
        container.remove(force=True)


def wait_for(port: int, path: str, limit_s: float) -> float:
    """The time at which an address answered 200."""
    end = time.perf_counter() + limit_s
    while time.perf_counter() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit_s)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return time.perf_counter()
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    sys.exit(f"nothing is ready at port {port} within {limit_s:g} s; what the server says: run it by hand")


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def peak_mib(pid: int) -> float:
    """The most memory that a process has held, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(line.split()[1]) / 1024, 1)


def wrk(subject: Subject, connections: int, seconds: int, folder: Path) -> dict[str, Any]:
    """One turn: what wrk counted, with requests per second."""
    script, body = folder / "post.lua", folder / "body"
    script.write_text(LUA)
    body.write_bytes(subject.body)
    url = f"http://127.0.0.1:{subject.port}{subject.path}"
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), url]
    environment = {"WRK_BODY": str(body), "WRK_HEADERS": subject.headers, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=seconds + 60)
    counted: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if counted["errors"]:
        sys.exit(f"{subject.name}: {counted['errors']} errors\n{done.stdout}")
    return {**counted, "per_s": round(counted["requests"] / counted["us"] * 1e6, 1)}


def fresh_floor(entry: bundle.Entry, seconds: float) -> dict[str, float]:
    """The floor, in a process of its own."""
    argv = [sys.executable, __file__, "--floor", entry.runtime, str(entry.path), str(seconds)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 120)
    counted: dict[str, float] = json.loads(done.stdout)
    return counted


def floor(runtime: str, path: Path, seconds: float) -> dict[str, float]:
    """Microseconds of the session's `run`, one call after the other: inputs copied in, outputs copied out."""
    with sessions.open_session(runtime, path) as session:
        feed = {
            spec.name: np.zeros([max(size, 1) for size in spec.shape], np.dtype(spec.dtype)) for spec in session.inputs
        }
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 100:
            began = time.perf_counter_ns()
            session.run(feed)
            times.append((time.perf_counter_ns() - began) / 1e3)
    return {"p50_us": round(statistics.median(times), 1), "per_s": round(1e6 / statistics.fmean(times), 1)}


def version(package: str) -> str | None:
    """A package's version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
