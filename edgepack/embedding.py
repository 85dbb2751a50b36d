"""How does a bundle get the source that is built into firmware?"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgepack import bundle, extensions
from edgepack.contracts import FirmwareContext
from edgepack.errors import EdgepackError
from edgepack.runner.tensors import TensorSpec, quantize
from edgepack.store import code_digest, key_of, versions, write_json
from edgepack.target import Target
from edgepack.verify import gates

FIRMWARE_SCHEMA = "edgepack.firmware/1"
Progress = Callable[[Mapping[str, Any]], None]


def make(
    folder: Path, target: Target, verification: Mapping[str, Any], *, progress: Progress, force: bool = False
) -> tuple[bool, list[EdgepackError]]:
    """Write ``firmware/`` of a bundle: the sources of each artifact, and ``firmware.json``, which tells of them.

    Returns:
        Whether everything was there already, and what went wrong: budgets and gates that were missed.

    Raises:
        EdgepackError: A compiler is not installed or refuses an artifact; what was there before stays.
    """
    manifest = bundle.read_manifest(folder)
    config = target.firmware
    use = extensions.name_of(config)
    artifacts = manifest["artifacts"]
    details = {(r["file"], r["runtime"]): r["details"] for r in verification["artifacts"]}
    arenas = [details.get((a["file"], a["runtimes"][0]), {}).get("arena_bytes") for a in artifacts]
    key = key_of(
        {name: manifest["files"][name] for name in (*(a["file"] for a in artifacts), manifest["golden"]["file"])},
        manifest["name"],
        target.resolved(),
        arenas,
        code_digest("firmware", "embedding"),
        versions("ethos-u-vela"),
    )
    previous = read(folder)
    if not force and previous is not None and previous.get("key") == key:
        return True, _problems(previous, target)
    staging = folder / f".tmp-firmware-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        packages = []
        for artifact, arena in zip(artifacts, arenas, strict=True):
            progress({"label": "firmware", "text": f"{use} of {artifact['file']}"})
            context = _context(folder, manifest, artifact, arena)
            made = extensions.load("edgepack.firmware", use).make(
                config, folder / artifact["file"], staging, context=context
            )
            packages.append({"artifact": artifact["file"], **made})
        document = {
            "schema": FIRMWARE_SCHEMA,
            "key": key,
            "use": use,
            "packages": packages,
            "gates": [item.to_dict() for package in packages for item in _judged(package, target)],
        }
        write_json(staging / "firmware.json", document)
        shutil.rmtree(folder / "firmware", ignore_errors=True)
        staging.rename(folder / "firmware")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return False, _problems(document, target)


def read(folder: Path) -> dict[str, Any] | None:
    """``firmware/firmware.json`` of a bundle, or None."""
    try:
        document = json.loads((folder / "firmware" / "firmware.json").read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _context(
    folder: Path, manifest: Mapping[str, Any], artifact: Mapping[str, Any], arena: int | None
) -> FirmwareContext:
    with np.load(folder / manifest["golden"]["file"], allow_pickle=False) as golden:
        sample = golden["input"][:1]
        answer = golden[f"output/{artifact['file']}/{artifact['runtimes'][0]}"][:1]
    return FirmwareContext(
        name=manifest["name"],
        precision=artifact["precision"],
        inputs=artifact["inputs"],
        outputs=artifact["outputs"],
        arena_bytes=arena,
        golden_input=quantize(sample, TensorSpec.from_dict(artifact["inputs"][0])),
        golden_output=answer,
    )


def _judged(package: Mapping[str, Any], target: Target) -> Iterator[gates.Judgement]:
    """What a compiler placed elsewhere than on the NPU, and how much memory the model works in."""
    name = package["artifact"]
    if "nodes_delegated" in package:
        limits = target.model_copy(update={"min_integer_ops": None})
        yield from gates.judge_placement(limits, artifact=name, precision="int8", details=package)
    memory = package.get("sram_bytes", package["arena_bytes"])
    yield from gates.at_most("arena_kib", name, target.budgets.arena_kib, None if memory is None else memory / 1024)


def _problems(document: Mapping[str, Any], target: Target) -> list[EdgepackError]:
    missed = [gates.Judgement(**item) for item in document["gates"] if item["status"] == "failed"]
    error = gates.error_for(missed, target.name)
    return [error] if error else []
