"""Which files go into each layer of an image: the runtime's packages, the runner, the model?"""

import importlib.metadata
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgepack import bundle as bundles
from edgepack import resources
from edgepack.errors import MissingError, RecipeError
from edgepack.images.archive import Entry, from_bytes, from_path
from edgepack.images.records import SITE_PACKAGES

if TYPE_CHECKING:
    from edgepack.images.facts import Facts

APP = "opt/edgepack/app/edgepack"
OWN_LICENCE = "opt/edgepack/LICENSE"
BUNDLE = "bundle"
LICENCE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", re.IGNORECASE)
SERVING = ("cpu", "gpu")
"""Families whose images serve as well as measure."""

CODE = {"cpu": ("runner", "serving"), "gpu": ("runner", "serving"), "mobile": ("runner", "android")}
"""Packages of edgepack that are in the images of a family; the runner in those of any other."""

NEEDED_OF_BASE = {"mobile": ("adb",)}
"""Debian packages without which the images of a family are of no use, and which only a base image can bring."""

# What no package needs in order to run; RECORD would list files that are not there.
NEVER = ("**/__pycache__", "**/tests", "*.pyi", "*.pyx", "*.pxd", "*.h", "*.hpp", "*.a", "*.dist-info/RECORD")


def session_needs(runtimes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the sessions of some runtimes declare: distributions to install, and globs of files to leave out.

    Raises:
        RecipeError: There is no session for one of the runtimes.
    """
    from edgepack.runner import sessions

    known = sessions.names()
    for name in runtimes:
        if name not in known:
            raise RecipeError(
                f"the runtime {name!r} is not known; expected one of {', '.join(known)}",
                fix="correct the target's list of runtimes",
            )
    modules = [sessions.load(name) for name in sorted(set(runtimes))]
    requirements = {name for module in modules for name in module.REQUIREMENTS}
    exclude = {glob for module in modules for glob in module.EXCLUDE}
    return tuple(sorted(requirements)), tuple(sorted(exclude))


def serving_needs(family: str, *, pictures: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What serving declares, as `session_needs`; nothing for a family that only measures.

    Args:
        family: A folder of `containers/`.
        pictures: The files of pictures are to be taken, too.
    """
    from edgepack import serving
    from edgepack.serving import pictures as decoder

    if family not in SERVING:
        return (), ()
    if not pictures:
        return serving.REQUIREMENTS, serving.EXCLUDE
    return (*serving.REQUIREMENTS, *decoder.REQUIREMENTS), (*serving.EXCLUDE, *decoder.EXCLUDE)


def lacking(family: str, base: "Facts | None") -> tuple[str, ...]:
    """What a base image would have to bring for a family and does not, by its own list of Debian packages."""
    if base is None or base.debian is None:
        return ()
    has = {package.name for package in base.debian}
    return tuple(name for name in NEEDED_OF_BASE.get(family, ()) if name not in has)


def excluded(path: str, patterns: Iterable[str]) -> bool:
    """Whether a file of site-packages stays out of the image.

    Args:
        path: Relative to site-packages, with forward slashes.
        patterns: Globs for the file or any folder above it. `*` also matches slashes, as in `fnmatch`; a
            leading `**/` matches at any depth, the top included.
    """
    names = [path, *(str(parent) for parent in PurePosixPath(path).parents if parent.parts)]
    wanted = [form for pattern in patterns for form in {pattern, pattern.removeprefix("**/")}]
    return any(fnmatchcase(name, pattern) for name in names for pattern in wanted)


def wheel_entries(wheel: zipfile.ZipFile, exclude: Sequence[str]) -> Iterable[Entry]:
    """The files of a wheel as they lie in site-packages (PEP 427), without scripts, headers and exclusions.

    Args:
        wheel: The opened wheel; it must stay open until the entries are packed.
        exclude: Globs as for `excluded`, beside those that hold for every package.
    """
    for info in wheel.infolist():
        path = PurePosixPath(info.filename)
        if info.is_dir():
            continue
        if path.parts[0].endswith(".data"):
            if len(path.parts) < 3 or path.parts[1] not in ("purelib", "platlib"):
                continue
            path = PurePosixPath(*path.parts[2:])
        if is_licence(path) or not excluded(str(path), (*NEVER, *exclude)):
            executable = bool(info.external_attr >> 16 & 0o100)
            yield Entry(f"{SITE_PACKAGES}/{path}", info.file_size, partial(wheel.open, info), executable)


def is_licence(path: PurePosixPath) -> bool:
    """Whether a file of a wheel is a text that its licence wants to be kept with it (PEP 639)."""
    folder = path.parts[0]
    return folder.endswith(".dist-info") and (path.parts[1] == "licenses" or bool(LICENCE.match(path.name)))


def refuse_doubles(packages: Mapping[str, Sequence[Entry]]) -> None:
    """Check that no two packages hold the same file.

    Raises:
        RecipeError: Two do, such as `onnxruntime` and `onnxruntime-gpu`.
    """
    owner: dict[str, str] = {}
    for name, entries in packages.items():
        for entry in entries:
            other = owner.setdefault(entry.path, name)
            if other != name:
                raise RecipeError(
                    f"the packages {other} and {name} both hold {entry.path}; one image cannot hold both",
                    fix="leave one of their runtimes out of the target",
                )


def runner_entries(family: str) -> Iterable[Entry]:
    """The code of edgepack that the images of a family run, under its own name."""
    for package in CODE.get(family, ("runner",)):
        for path in (resources.PACKAGE / package).rglob("*.py"):
            yield from_path(path, f"{APP}/{path.relative_to(resources.PACKAGE).as_posix()}")


def own_licence() -> Iterable[Entry]:
    """The licence of edgepack itself, from a checkout or from what was installed."""
    checkout = resources.PACKAGE.parent / "LICENSE"
    installed = () if checkout.is_file() else importlib.metadata.files("edgepack") or ()
    found = [checkout, *(Path(str(path.locate())) for path in installed if path.name == "LICENSE")]
    for path in [path for path in found if path.is_file()][:1]:
        yield from_path(path, OWN_LICENCE)


def model_entries(bundle: Path) -> Iterable[Entry]:
    """A bundle's artifacts and golden samples, and a manifest that lists these files and no others of the bundle.

    Raises:
        MissingError: The manifest or a file that it names is not there or not readable.
    """
    manifest = bundle / "manifest.json"
    try:
        described = json.loads(manifest.read_text(encoding="utf-8"))
        names = {artifact["file"] for artifact in described["artifacts"]} | {described["golden"]["file"]}
        inside = json.dumps(bundles.with_files_only(described, names), indent=1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingError(
            f"{bundle} is not a complete bundle: its manifest.json cannot be read ({error})",
            fix="make it with `edgepack run RECIPE`, or name a bundle's folder",
        ) from error
    yield from_bytes(inside.encode(), f"{BUNDLE}/manifest.json")
    for name in sorted(names):
        plain = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
        if not plain or not (bundle / name).is_file():
            raise MissingError(f"{manifest} names {name!r}, which is not in the bundle", fix="make the bundle again")
        yield from_path(bundle / name, f"{BUNDLE}/{name}")
