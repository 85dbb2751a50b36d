"""How is a bundle measured on a board that no network reaches? A folder goes there, and a JSON file comes back."""

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edgepack import bundle
from edgepack.errors import RecipeError
from edgepack.images import wheels
from edgepack.protocol import Protocol
from edgepack.recipe import Bench
from edgepack.transports import _packages, _parcels

SCRIPT = Path(__file__).with_name("bench")
SCHEMA = "edgepack.offline/1"


@dataclass(frozen=True)
class Made:
    """What was written: the folder, its size, and what is in it for which machine."""

    folder: Path
    size_bytes: int
    packages: tuple[str, ...]
    platform: str
    python_version: str


def write(
    source: Path,
    folder: Path,
    *,
    platform: str | None,
    python_version: str,
    quick: bool,
    say: Callable[[str], None],
) -> Made:
    """Write a folder that runs ``./bench`` on a board with Python and nothing else.

    Args:
        source: A bundle.
        folder: Where to; made, or replaced where it is such a folder already.
        platform: The board's, such as ``linux/arm64``; None for the bundle's own.
        python_version: The version of the board's python3, such as ``3.11``.
        quick: Whether ``./bench`` only shows that measuring works.
        say: Called with one line before each longer step.

    Raises:
        RecipeError: There are no packages for such a board, or the folder holds something else.
        MissingError: The bundle is not whole, or a wheel cannot be had.
    """
    bundle.require(source)
    manifest = bundle.read_manifest(source)
    wanted = platform or str(manifest["platform"])
    if wanted not in wheels.MACHINES:
        raise RecipeError(
            f"there is no offline folder for the platform {wanted!r}; expected one of {', '.join(wheels.MACHINES)}",
            fix="name the board's with --platform",
        )
    if not re.fullmatch(r"3\.\d+", python_version) or int(python_version.split(".")[1]) < 11:
        raise RecipeError(
            f"--python got {python_version!r}; expected 3.11 or a later one", fix="look there: python3 -V"
        )
    if folder.exists() and not (folder / "offline.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise RecipeError(f"{folder} is there already and is no offline folder", fix="name another folder")
    staging = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with ExitStack() as stack:
            runtimes = _packages.runtimes(["verify", source])
            machine = _packages.Machine(wanted, python_version)
            packages = _packages.packages(runtimes, machine, stack, say)
            say(f"writing {folder}")
            for parcel in packages:
                _parcels.unpack(parcel.entries, staging / "packages" / parcel.name.replace(" ", "-"))
            _parcels.unpack(_packages.runner().entries, staging / "runner")
            _parcels.unpack(_parcels.contents(source), staging / "bundle")
        shutil.copyfile(SCRIPT, staging / "bench")
        (staging / "bench").chmod(0o755)
        told = {
            "schema": SCHEMA,
            "name": manifest["name"],
            "target": manifest["target"],
            "platform": wanted,
            "machine": wheels.MACHINES[wanted],
            "python": python_version,
            "packages": [parcel.name for parcel in packages],
            "arguments": Protocol.of(Bench(), quick=quick).arguments(),
        }
        (staging / "offline.json").write_text(json.dumps(told, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Made(folder, size, tuple(parcel.name for parcel in packages), wanted, python_version)
