"""Is a bundle whole, do its golden samples still give their outputs, and did it pass its gates?"""

import json
from pathlib import Path
from typing import Any

from edgepack import bundle, latency
from edgepack.errors import DeviceError, VerificationError
from edgepack.transports import connect


def check_bundle(folder: Path) -> dict[str, Any]:
    """Check a bundle where it lies; changes nothing.

    Returns:
        ``files`` (how many were checked), ``golden`` (one result per artifact and runtime), ``gates``.

    Raises:
        MissingError: The folder is no bundle.
        VerificationError: A file was altered, an output differs, or a gate was missed.
        DeviceError: A runtime that the bundle needs does not run here.
    """
    bundle.require(folder)
    manifest = bundle.read_manifest(folder)
    changed = bundle.changed_files(folder, manifest)
    if changed:
        raise VerificationError(
            "\n".join(f"{folder}: {problem}" for problem in changed),
            fix="copy the bundle again, or make it again with `edgepack run`",
        )
    gates = json.loads((folder / "verify.json").read_text())["gates"]
    with connect("local") as device:
        words = [*latency.host_runner(), "verify", "--bundle", str(folder.resolve())]
        document, _ = latency.run_runner(
            device, words, timeout_s=latency.VERIFY_TIMEOUT_S, env=latency.host_environment()
        )
    failed = [item for item in document["results"] if item["status"] == "failed"]
    if failed:
        raise VerificationError(
            "\n".join(f"{folder}: {item['artifact']} with {item['runtime']}: {item['reason']}" for item in failed),
            fix="this machine computes something else than the one that made the bundle; see docs/troubleshooting.md",
        )
    broken = [item for item in document["results"] if item["status"] == "error"]
    if broken:
        raise DeviceError(
            "\n".join(f"{folder}: {item['artifact']} with {item['runtime']}: {item['reason']}" for item in broken),
            fix="verify it where that runtime works, e.g. in its container",
        )
    missed = [gate for gate in gates if gate["status"] == "failed"]
    if missed:
        raise VerificationError(
            "\n".join(
                f"{folder}: {g['artifact']} misses {g['gate']}: {g['value']:.4g}, limit {g['limit']:.4g}"
                for g in missed
            ),
            fix="its files are whole, but it did not pass when it was made: see its report",
        )
    return {
        "schema": "edgepack.check/1",
        "bundle": str(folder),
        "files": len(manifest["files"]),
        "golden": document["results"],
        "gates": gates,
    }
