"""Is a bundle whole, do its golden samples still give their outputs, and did it pass its gates?"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgepack import bundle, images_of_bundles, latency
from edgepack.errors import DeviceError, VerificationError
from edgepack.transports import connect, quiet

LARGEST = 1e300
"""Beyond this a figure is no measurement, and a whole number may have no float."""


def check_bundle(folder: Path, on: str = "local", *, say: Callable[[str], None] = quiet) -> dict[str, Any]:
    """Check a bundle where it lies; changes nothing.

    Args:
        folder: The bundle.
        on: Where its golden samples run: ``local``, ``docker`` (the image that was built of it), ``docker:IMAGE``, or
            another device, as ``ssh://pi@board``.
        say: Called with one line before something that takes a while.

    Returns:
        ``files`` (how many were checked), ``on``, ``environment`` (the machine), ``golden`` (one result per artifact
        and runtime), ``gates``.

    Raises:
        MissingError: The folder is no bundle, or there is no such image.
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
    gates = read_gates(folder)
    document = _golden(folder, on, say)
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
                f"{folder}: {g['artifact']} misses {g['gate']}: {_figure(g['value'])}, limit {_figure(g['limit'])}"
                for g in missed
            ),
            fix="its files are whole, but it did not pass when it was made: see its report",
        )
    return {
        "schema": "edgepack.check/1",
        "bundle": str(folder),
        "files": len(manifest["files"]),
        "on": on,
        "environment": document["environment"],
        "golden": document["results"],
        "gates": gates,
    }


def _golden(folder: Path, on: str, say: Callable[[str], None]) -> dict[str, Any]:
    """What the runner says of the golden samples, on a device or in an image with this bundle in it."""
    address = f"docker:{images_of_bundles.image_of(folder)}" if on == "docker" else on
    words: list[str | Path] = ["verify", "--bundle", folder]
    with connect(address, say=say) as device:
        if address.startswith("docker:"):
            _same_models(folder, address.removeprefix("docker:"))
            words = ["verify"]
        document, _ = device.ask(words, timeout_s=latency.VERIFY_TIMEOUT_S)
    return document


def _same_models(folder: Path, image: str) -> None:
    """Refuse an image that holds another bundle, which would only be compared with itself."""
    there = images_of_bundles.models_in(image)
    here = {artifact["sha256"] for artifact in bundle.read_manifest(folder)["artifacts"]}
    if there != here:
        held = ", ".join(sorted(digest[:12] for digest in there)) or "none that edgepack packed"
        raise VerificationError(
            f"the image {image} holds other models than {folder}: {held}; "
            f"expected {', '.join(sorted(digest[:12] for digest in here))}",
            fix=f"name the image that was made of this bundle, or make it: edgepack image {folder}",
        )


def read_gates(folder: Path) -> list[dict[str, Any]]:
    """What the gates said of a bundle when it was made: one entry for each, as in `gates.Judgement.to_dict`.

    Raises:
        VerificationError: ``verify.json`` is not there, or damaged.
    """
    path = folder / "verify.json"
    try:
        gates = json.loads(path.read_text())["gates"]
        whole = isinstance(gates, list) and all(map(_is_judgement, gates))
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise VerificationError(
            f"{path} is damaged: {type(error).__name__}: {error}", fix="run `edgepack run` again"
        ) from error
    if not whole:
        raise VerificationError(f"{path} is damaged: gates has the wrong form", fix="run `edgepack run` again")
    return list(gates)


def _is_judgement(gate: object) -> bool:
    if not isinstance(gate, dict) or not all(isinstance(gate.get(key), str) for key in ("gate", "artifact", "status")):
        return False
    if "value" not in gate or "limit" not in gate:
        return False
    figures = (gate["value"], gate["limit"])
    return all(figure is None or (isinstance(figure, int | float) and abs(figure) < LARGEST) for figure in figures)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
