"""How did the latency of an artifact go over time?

A folder holds one file, ``latency.jsonl``: a line of JSON for each measurement, oldest first, appended in one write
under a lock, so that several runs can share it. Lines that are no such thing are left out when it is read.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from edgepack import __version__, bundle
from edgepack.store import explain_os_errors

SCHEMA = "edgepack.history/1"
FILE = "latency.jsonl"
KEPT = (
    "artifact",
    "sha256",
    "runtime",
    "runtime_version",
    "threads",
    "latency_ms",
    "interval_ms",
    "load_ms",
    "first_inference_ms",
    "peak_rss_mib",
    "energy_mj",
    "runs",
    "stable",
)


class Key(NamedTuple):
    """What two measurements have in common that are points of one line.

    Attributes:
        lineage: Which artifact, whatever its bytes: see `lineage`.
        device: Its address; for this machine and for containers with the processor's name.
        runtime: Which runtime.
        threads: Threads of one inference.
    """

    lineage: str
    device: str
    runtime: str
    threads: int


def lineage(what: Path, artifact: str) -> str:
    """The name of an artifact over time: recipe, target and file for one of a bundle, else the file's own name.

    Args:
        what: A bundle's folder, a file inside one, or a lone file.
        artifact: The artifact's file name.
    """
    folder = what if what.is_dir() else what.resolve().parent
    if not bundle.is_bundle(folder):
        return artifact
    manifest = bundle.read_manifest(folder)
    return f"{manifest['name']}/{manifest['target']}/{artifact}"


def entries(document: Mapping[str, Any], what: Path, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """What is kept of a measurement: a record for each result that is one, without raw samples.

    Args:
        document: Of schema ``edgepack.latency/1``.
        what: What was measured.
        now: The time; this very moment when absent.
    """
    time = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    facts = document["environment"]
    device = document.get("device") or {"address": "local", "name": "local", "simulated": False}
    return [
        {
            "schema": SCHEMA,
            "time": time,
            "edgepack": __version__,
            "lineage": lineage(what, result["artifact"]),
            "device": dict(device),
            "cpu": facts.get("cpu"),
            "machine_model": facts.get("machine_model"),
            **{key: result.get(key) for key in KEPT},
            "processes_p50_ms": [process["p50_ms"] for process in result.get("processes") or ()],
            "flags": [flag["kind"] for flag in result.get("flags") or ()],
        }
        for result in document["results"]
        if result["status"] == "ok"
    ]


def append(folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Add records at the end, all or none of them.

    Raises:
        MissingError: The folder cannot be written.
    """
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records).encode()
    if not lines:
        return
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("ab+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            size = stream.seek(0, os.SEEK_END)
            if size and os.pread(stream.fileno(), 1, size - 1) != b"\n":  # whoever wrote last was stopped
                lines = b"\n" + lines
            try:
                stream.write(lines)
                stream.flush()
                os.fsync(stream.fileno())
            except OSError:
                stream.truncate(size)
                raise


def read(folder: Path) -> list[dict[str, Any]]:
    """The records of a history, oldest first; none where there is no history."""
    try:
        lines = (folder / FILE).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and _is_record(record):
            found.append(record)
    return found


def series(records: Iterable[Mapping[str, Any]]) -> dict[Key, list[Mapping[str, Any]]]:
    """Records by what they are measurements of, oldest first."""
    found: dict[Key, list[Mapping[str, Any]]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return {one: sorted(points, key=lambda point: str(point["time"])) for one, points in found.items()}


def key(record: Mapping[str, Any]) -> Key:
    """Which line a record is a point of."""
    device = str(record["device"]["address"])
    where = device.partition(":")[0]
    name = f"{where} ({record.get('cpu') or 'unknown processor'})" if where in ("local", "docker") else device
    return Key(str(record["lineage"]), name, str(record["runtime"]), int(record["threads"]))


def _is_record(found: Mapping[str, Any]) -> bool:
    latency, device = found.get("latency_ms"), found.get("device")
    return (
        found.get("schema") == SCHEMA
        and all(isinstance(found.get(name), str) for name in ("time", "lineage", "runtime"))
        and isinstance(found.get("threads"), int)
        and isinstance(latency, dict)
        and isinstance(latency.get("p50"), int | float)
        # A phone's own program tells the median and no such percentile.
        and all(isinstance(latency.get(name), int | float | None) for name in ("p90", "p99"))
        and isinstance(device, dict)
        and isinstance(device.get("address"), str)
    )
