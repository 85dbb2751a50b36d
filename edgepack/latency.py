"""How fast is each artifact of a bundle on this host and in its container?"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgepack import bundle, imaging
from edgepack.environment import cpu_model, host_platform
from edgepack.errors import DeviceError, EdgepackError, VerificationError
from edgepack.protocol import Protocol
from edgepack.recipe import Gates
from edgepack.store import code_digest, key_of, write_json
from edgepack.target import Target
from edgepack.transports import Device, Transport, connect
from edgepack.verify import gates as judge

LATENCIES_SCHEMA = "edgepack.latencies/1"
VERIFY_TIMEOUT_S = 900
SIMULATED = {
    "kind": "simulated",
    "text": "Instructions were counted, at a fixed time for each: no time was measured.",
}
Progress = Callable[[Mapping[str, Any]], None]


def bench(
    device: Transport,
    what: Path | None,
    *,
    protocol: Protocol,
    artifacts: Sequence[str] = (),
    runtime: str | None = None,
    threads: int | None = None,
) -> tuple[dict[str, Any], int]:
    """Measure on a device, by the runner or, where none can run, by the device's own means.

    Args:
        device: An open transport.
        what: A bundle's folder or a model file; None for the bundle that is on the device already.
        protocol: How long; a transport's method ``protocol``, where there is one, gives another one for it.
        artifacts: Only these files of a bundle.
        runtime: Only this runtime.
        threads: Inference threads; None for the bundle's own number, or 1.

    Returns:
        The document, with the device, and the exit code that the runner gives.

    Raises:
        EdgepackError: As `Transport.ask` does.
    """
    protocol = getattr(device, "protocol", lambda asked: asked)(protocol)
    own = getattr(device, "bench", None)
    if own is not None and what is not None:
        document, code = own(what, artifacts=artifacts, runtime=runtime, threads=threads, protocol=protocol)
    else:
        chosen = [word for name in artifacts for word in ("--artifact", name)]
        extra = (["--runtime", runtime] if runtime else []) + (["--threads", str(threads)] if threads else [])
        place: list[str | Path] = [] if what is None else ["--file" if what.is_file() else "--bundle", what]
        words = ["bench", *chosen, *extra, *protocol.arguments(), *place]
        document, code = device.ask(words, timeout_s=timeout_s(protocol, len(artifacts) * 2 or 8))
    return labelled(document, device.device), code


def labelled(document: Mapping[str, Any], device: Device) -> dict[str, Any]:
    """A runner's document that says which device it is from and, of a simulated one, that its times are no times."""
    found = {**document, "device": asdict(device)}
    if device.simulated:
        found["protocol"] = {**document.get("protocol", {}), "clock": "instructions"}
        # What counts instructions is not too short: a few runs repeat as well as many.
        found["results"] = [
            {**item, "flags": [*(old for old in item.get("flags", ()) if old["kind"] != "short"), SIMULATED]}
            for item in document["results"]
        ]
    return found


def timeout_s(protocol: Protocol, results: int) -> float:
    """Hard limit for a measurement: the runner's own limits per artifact, and room to start."""
    return 120 + results * (protocol.processes * (protocol.warmup_s + 120) + protocol.max_time_s)


def measure_bundle(
    folder: Path,
    target: Target,
    files: Sequence[str],
    protocol: Protocol,
    *,
    gates: Gates,
    unjudged: str | None,
    progress: Progress,
    force: bool = False,
) -> tuple[bool, list[EdgepackError]]:
    """Measure the verified files of a bundle and write ``latency.json``.

    Returns:
        Whether the measurement was there already, and what went wrong: budgets that were missed, outputs that
        differ in the container.

    Raises:
        EdgepackError: The host or the container could not measure.
    """
    image = imaging.read(folder) or {}
    manifest = bundle.read_manifest(folder)
    key = key_of(
        {name: manifest["files"][name] for name in files},
        image.get("id"),
        asdict(protocol),
        target.threads,
        gates.model_dump(),
        target.budgets.model_dump(),
        cpu_model(),
        code_digest("runner", "latency", "protocol"),
    )
    path = folder / "latency.json"
    previous = read(folder)
    if not force and previous is not None and previous.get("key") == key:
        return True, _problems(previous, target)
    document: dict[str, Any] = {
        "schema": LATENCIES_SCHEMA,
        "key": key,
        "host": None,
        "host_reason": None,
        "container": None,
        "container_reason": None,
        "golden": None,
        "identical": {},
        "gates": [],
    }
    if not files:
        document["host_reason"] = document["container_reason"] = "no artifact passed verification"
    elif target.platform != host_platform():
        document["host_reason"] = f"this host is {host_platform()}, the target {target.platform}"
    elif not _runs_here(target):
        document["host_reason"] = f"this host cannot run {', '.join(target.runtimes)}"
    else:
        progress({"label": "bench", "text": f"measuring {len(files)} artifacts on this host"})
        with connect("local") as device:
            document["host"], _ = bench(device, folder, protocol=protocol, artifacts=files, threads=target.threads)
    if files and image.get("status") == "built":
        document |= _in_container(image, files, protocol, target, progress)
    elif files:
        document["container_reason"] = image.get("reason") or (
            "no image was built" if target.image else f"the target {target.name} has no image"
        )
    document["gates"] = _judgements(document, gates, target, unjudged)
    write_json(path, document)
    return False, _problems(document, target)


def read(folder: Path) -> dict[str, Any] | None:
    """``latency.json`` of a bundle, or None."""
    try:
        document = json.loads((folder / "latency.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _in_container(
    image: Mapping[str, Any], files: Sequence[str], protocol: Protocol, target: Target, progress: Progress
) -> dict[str, Any]:
    """Verify, then measure, inside the image."""
    chosen = [word for name in files for word in ("--artifact", name)]
    with connect(f"docker:{image['tag']}") as device:
        progress({"label": "bench", "text": f"verifying golden samples in {image['tag']}"})
        golden, _ = device.ask(["verify", *chosen], timeout_s=VERIFY_TIMEOUT_S)
        progress({"label": "bench", "text": f"measuring {len(files)} artifacts in {image['tag']}"})
        measured, _ = bench(device, None, protocol=protocol, artifacts=files, threads=target.threads)
    identical = {f"{item['artifact']}@{item['runtime']}": bool(item["identical"]) for item in golden["results"]}
    return {"container": measured, "golden": golden, "identical": identical}


def _runs_here(target: Target) -> bool:
    """False when every runtime of the target needs an accelerator; hosts are measured without one."""
    from edgepack.runner.sessions import load

    return any(load(runtime).ACCELERATOR is None for runtime in target.runtimes)


def _judgements(
    document: Mapping[str, Any], gates: Gates, target: Target, unjudged: str | None
) -> list[dict[str, Any]]:
    """Hold p90 against the budgets: in the container when there is one, else on the host."""
    source = document["container"] or document["host"]
    if source is None:
        return []
    from edgepack.runner.sessions import CPU, load

    unjudged = unjudged or ("measured under emulation" if source["environment"].get("emulated") else None)
    found: list[judge.Judgement] = []
    for result in source["results"]:
        p90 = (result.get("latency_ms") or {}).get("p90")
        name = f"{result['artifact']}@{result['runtime']}"
        wanted = load(result["runtime"]).ACCELERATOR
        instead = wanted and (result.get("details") or {}).get("provider") == CPU
        why = unjudged or (f"it ran on the processor, not on an {wanted}" if instead else None)
        found += judge.judge_latency(gates, target.budgets, artifact=name, p90_ms=p90, unjudged=why)
    return [item.to_dict() for item in found]


def _problems(document: Mapping[str, Any], target: Target) -> list[EdgepackError]:
    problems: list[EdgepackError] = []
    wrong = [item for item in (document.get("golden") or {}).get("results", ()) if item["status"] == "failed"]
    if wrong:
        problems.append(
            VerificationError(
                "\n".join(f"{target.name}: {item['artifact']} in the container: {item['reason']}" for item in wrong),
                fix="build the image again; if that does not help, report it",
            )
        )
    for where in ("host", "container"):
        results = (document.get(where) or {}).get("results", ())
        broken = [item for item in results if item["status"] == "error"]
        if broken:
            problems.append(
                DeviceError(
                    "\n".join(f"{target.name}: {item['artifact']} on the {where}: {item['reason']}" for item in broken),
                    fix="see the reason; run `edgepack bench` for this artifact alone",
                )
            )
    missed = [judge.Judgement(**item) for item in document["gates"] if item["status"] == "failed"]
    budget = judge.error_for(missed, target.name)
    return [*problems, budget] if budget else problems
