"""What must be sent to a machine that has nothing but Python, so that the runner runs there?"""

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from edgepack import bundle, imaging
from edgepack.errors import MissingError, RecipeError
from edgepack.images import layers, wheels
from edgepack.images.archive import from_path
from edgepack.images.records import SITE_PACKAGES
from edgepack.resources import PACKAGE
from edgepack.transports._parcels import Parcel, parcel

RUNNER = "edgepack_runner"
"""The runner's name on a device: another one than here, as the device may have an edgepack of its own."""

NEWEST_KNOWN_GLIBC = 50


@dataclass(frozen=True)
class Machine:
    """For what wheels are wanted.

    Attributes:
        platform: ``linux/amd64`` or ``linux/arm64``.
        python_version: Such as ``3.11``.
        glibc: Minor version of its C library, 2.x.
    """

    platform: str
    python_version: str
    glibc: int = wheels.NEWEST_GLIBC


def machine(told: Mapping[str, Any], name: str) -> Machine:
    """What a device says of itself, as far as wheels go.

    Args:
        told: As `_agent.probe` answers.
        name: The device, for the message.

    Raises:
        MissingError: Nobody makes wheels of the runtimes for such a machine.
    """
    platforms = {machine: platform for platform, machine in wheels.MACHINES.items()}
    platform = platforms.get({"amd64": "x86_64", "arm64": "aarch64"}.get(told["machine"], told["machine"]))
    if told["system"] != "Linux" or platform is None or told["bits"] != 64:
        raise MissingError(
            f"{name} is {told['system']} on {told['machine']} with a Python of {told['bits']} bits; the runtimes are "
            f"made for Linux with 64 bits, on {' or '.join(platforms)}",
            fix="install a system of 64 bits on the device if its processor has them",
        )
    libc = re.fullmatch(r"2\.(\d+).*", told["libc_version"]) if told["libc"] == "glibc" else None
    if libc is None:
        raise MissingError(
            f"{name} has no glibc but {told['libc'] or 'another C library'} (musl, as on Alpine?); there are no wheels "
            "of the runtimes for it",
            fix="use a system with glibc there, such as Debian, or a container of one",
        )
    if told["implementation"] != "CPython":
        raise MissingError(
            f"the python3 of {name} is {told['implementation']}; there are no wheels of the runtimes for it",
            fix="install CPython there",
        )
    minor = int(told["python"].split(".")[1])
    return Machine(platform, f"3.{minor}", min(int(libc[1]), NEWEST_KNOWN_GLIBC))


def runtimes(words: Sequence[str | Path]) -> tuple[str, ...]:
    """Which runtimes some words for the runner need: one that is named, else what the bundles and files ask for.

    Raises:
        RecipeError: No runtime reads a file.
        MissingError: A bundle is not there or not whole.
    """
    texts = [word for word in words if isinstance(word, str)]
    if "--runtime" in texts[:-1]:
        return (texts[texts.index("--runtime") + 1],)
    chosen = {text for option, text in pairwise(texts) if option == "--artifact"}
    found: set[str] = set()
    for path in (word for word in words if isinstance(word, Path)):
        if path.is_dir():
            held = bundle.read_manifest(path)["artifacts"]
            found |= {
                name for item in held if not chosen or item["file"] in chosen for name in item.get("runtimes", ())
            }
        else:
            found.add(_for_file(path))
    return tuple(sorted(found))


def _for_file(path: Path) -> str:
    """The first runtime of a file's format that needs no accelerator."""
    from edgepack.runner import sessions

    known = {name: sessions.load(name) for name in sessions.names()}
    extension = path.suffix.lstrip(".").lower()
    fitting = [name for name, module in known.items() if (extension, None) == (module.FORMAT, module.ACCELERATOR)]
    if not fitting:
        formats = sorted({str(module.FORMAT) for module in known.values()})
        raise RecipeError(
            f"no runtime for {path.name!r}; expected a file that ends in one of: {', '.join(formats)}",
            fix="give a model file or a bundle",
        )
    return fitting[0]


def runner() -> Parcel:
    """The runner's own code, as a package of its own."""
    folder = PACKAGE / "runner"
    files = [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    return parcel("runner", [from_path(path, f"{RUNNER}/{path.relative_to(folder).as_posix()}") for path in files])


def packages(names: Sequence[str], wanted: Machine, stack: ExitStack, say: Callable[[str], None]) -> tuple[Parcel, ...]:
    """The packages of some runtimes, each as it lies in site-packages, without what inference never opens.

    Args:
        names: The runtimes.
        wanted: For which machine.
        stack: Holds the wheels open; the parcels can be read until it is closed.
        say: Called with one line for each download.

    Raises:
        MissingError: A wheel is neither cached nor can be downloaded.
        RecipeError: A runtime is not known.
    """
    requirements, exclude = layers.session_needs(names)
    found = wheels.resolve(
        requirements,
        platform=wanted.platform,
        python_version=wanted.python_version,
        cache=imaging.wheel_cache(),
        progress=say,
        glibc=wanted.glibc,
    )
    parcels = []
    for wheel in found:
        opened = stack.enter_context(zipfile.ZipFile(wheel.path))
        entries = [
            replace(entry, path=entry.path.removeprefix(f"{SITE_PACKAGES}/"))
            for entry in layers.wheel_entries(opened, exclude)
        ]
        parcels.append(parcel(f"{wheel.name} {wheel.version}", entries))
    return tuple(parcels)
