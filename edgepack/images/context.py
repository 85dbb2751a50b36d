"""What does the engine need to build one bundle's image: which files, which packages, which Dockerfile?"""

import json
import platform as host
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgepack import resources
from edgepack.errors import MissingError, RecipeError
from edgepack.images import archive, bytecode, layers, records, sbom, wheels
from edgepack.images.facts import Facts
from edgepack.store import file_digest

SCHEMA = "edgepack.context/1"
FOLDER = "image"
REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")


@dataclass(frozen=True)
class Package:
    """One Python package of the runtime layer.

    Attributes:
        name: Normalised distribution name.
        version: Its version.
        sha256: Digest of the wheel that it came from.
        size_bytes: What it takes in the image, unpacked, after the session's exclusions.
    """

    name: str
    version: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Context:
    """A complete build context on disk.

    Attributes:
        path: The folder, to be given to `docker build`.
        dockerfile: The Dockerfile in it.
        family: `cpu`, `gpu` or `mobile`.
        base_image: Reference of the image that it starts from.
        platform: What the image runs on, such as `linux/arm64`.
        python_version: What the base image's python3 must be, such as `3.11`.
        packages: The packages of the runtime layer, sorted by name.
        provided: What the base image has of the runtimes' packages, so that the layer does not: `numpy==1.24.2`.
        layers: The layers that go on top of the base, from the bottom up.
    """

    path: Path
    dockerfile: Path
    family: str
    base_image: str
    platform: str
    python_version: str
    packages: tuple[Package, ...]
    provided: tuple[str, ...]
    layers: tuple[archive.Layer, ...]


def image_platform(platform: str) -> str:
    """The platform of a target's image: the target's own, or for a phone that of the measuring machine.

    Args:
        platform: The target's, such as `linux/arm64` or `android/arm64`.

    Raises:
        RecipeError: Neither Linux on a known processor nor Android.
    """
    if platform.startswith("android/"):
        machine = host.machine().lower()
        platform = "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    wheels.platform_tags(platform)
    return platform


def write(
    bundle: Path,
    *,
    family: str,
    platform: str,
    runtimes: Sequence[str],
    base_image: str,
    python_version: str,
    labels: Mapping[str, str],
    wheel_cache: Path,
    progress: Callable[[str], None],
    base: Facts | None = None,
    pictures: bool = False,
) -> Context:
    """Write the build context of one bundle into its folder `image/`; an older one is replaced whole.

    The same bundle, wheels, arguments and version of Python give the same bytes in every file.

    Args:
        bundle: The bundle's folder, with `manifest.json`, the artifacts and the golden samples that it names.
        family: A folder of `containers/`: `cpu`, `gpu` or `mobile`.
        platform: The target's platform; see `image_platform`.
        runtimes: Names of the runner's sessions that the image can open.
        base_image: Reference of the image to start from.
        python_version: The version of its python3, such as `3.11`.
        labels: OCI labels of the image.
        wheel_cache: Folder that keeps downloaded wheels.
        progress: Called with one line for each longer step.
        base: What the base image has, where that is known: packages in it are left out of the runtime layer.
        pictures: Serving takes the files of pictures, too.

    Raises:
        MissingError: A wheel, or a file that the manifest names, is not there.
        RecipeError: The family, the platform, the base image's name or a runtime is not valid, or two
            packages hold the same file.
    """
    platform = image_platform(platform)
    dockerfile = render(family, base_image, labels)
    model = list(layers.model_entries(bundle))
    needs = layers.session_needs(runtimes), layers.serving_needs(family, pictures=pictures)
    requirements, exclude = (tuple(sorted({*one, *two})) for one, two in zip(*needs, strict=True))
    has = dict(base.provides) if base else {}
    provided = tuple(f"{name}=={has[name]}" for name in requirements if name in has)
    requirements = tuple(name for name in requirements if name not in has)
    found = wheels.resolve(
        requirements, platform=platform, python_version=python_version, cache=wheel_cache, progress=progress
    )
    progress(f"packing the image context for {platform}: {', '.join(wheel.name for wheel in found)}")
    final = bundle / FOLDER
    with ExitStack() as stack:
        folder = _new_folder(bundle, stack)
        unpacked = {wheel: _unpack(wheel, exclude, stack) for wheel in found}
        layers.refuse_doubles({wheel.name: entries for wheel, entries in unpacked.items()})
        runner = tuple(layers.runner_entries(family))
        sources = [*runner, *(entry for entries in unpacked.values() for entry in entries)]
        compiled = bytecode.compile_entries(sources, folder.parent / "sources", python_version, progress)

        def with_bytecode(entries: Sequence[archive.Entry]) -> list[archive.Entry]:
            return [*entries, *(compiled[entry.path] for entry in entries if entry.path in compiled)]

        parts = {wheel: with_bytecode(entries) for wheel, entries in unpacked.items()}
        parts = {wheel: [*entries, *records.entry(entries)] for wheel, entries in parts.items()}
        mtime_s = archive.source_date_epoch()
        bill = sbom.document(
            _models(bundle),
            [_distribution(wheel, entries) for wheel, entries in unpacked.items()],
            title=labels.get("org.opencontainers.image.title", bundle.name),
            version=labels.get("org.opencontainers.image.version", ""),
            platform=platform,
            base_image=base_image,
            base=base,
            mtime_s=mtime_s,
        )
        contents = {
            "runtime": [entry for entries in parts.values() for entry in entries],
            "runner": [*with_bytecode(runner), *layers.own_licence()],
            "model": [*model, archive.from_bytes(bill, sbom.PATH)],
        }
        packed = tuple(
            archive.write(folder / f"{name}.tar", name, entries, mtime_s=mtime_s) for name, entries in contents.items()
        )
        packages = tuple(
            Package(wheel.name, wheel.version, wheel.sha256, sum(entry.size_bytes for entry in entries))
            for wheel, entries in parts.items()
        )
        context = Context(
            final, final / "Dockerfile", family, base_image, platform, python_version, packages, provided, packed
        )
        (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        (folder / ".dockerignore").write_text(f"context.json\n{sbom.NAME}\n", encoding="utf-8")
        (folder / sbom.NAME).write_bytes(bill)
        (folder / "context.json").write_text(json.dumps(_to_dict(context), indent=2) + "\n", encoding="utf-8")
        if final.exists():
            final.rename(folder.parent / "old")
        folder.rename(final)
    return context


def read(folder: Path) -> Context:
    """The context that an earlier `write` left.

    Args:
        folder: The context's folder, as in `Context.path`.

    Raises:
        MissingError: There is no context, or it is not one of this version.
    """
    try:
        found: dict[str, Any] = json.loads((folder / "context.json").read_text(encoding="utf-8"))
        if found.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        packages = tuple(Package(**package) for package in found.pop("packages"))
        packed = tuple(archive.Layer(**layer) for layer in found.pop("layers"))
        found["provided"] = tuple(found["provided"])
        return Context(path=folder, dockerfile=folder / "Dockerfile", packages=packages, layers=packed, **found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingError(
            f"{folder} is not a complete build context of this version of edgepack ({error})",
            fix="write it again: edgepack image BUNDLE",
        ) from error


def render(family: str, base_image: str, labels: Mapping[str, str]) -> str:
    """The Dockerfile of a family with its base image and labels filled in.

    Raises:
        RecipeError: There is no such family, or the base image's name is not a reference.
    """
    containers = resources.folder("containers")
    known = sorted(path.parent.name for path in containers.glob("*/Dockerfile"))
    if family not in known:
        raise RecipeError(
            f"the image family {family!r} is not known; expected one of {', '.join(known)}",
            fix="correct the target's image family",
        )
    if not REFERENCE.fullmatch(base_image):
        raise RecipeError(
            f"the base image {base_image!r} is not an image's name; expected a form like 'python:3.11-slim'",
            fix="correct --base-image or the target's base image",
        )
    lines = (containers / family / "Dockerfile").read_text(encoding="utf-8").splitlines()
    lines = [f"ARG BASE_IMAGE={base_image}" if line.startswith("ARG BASE_IMAGE=") else line for line in lines]
    labels = {"org.opencontainers.image.base.name": base_image, **labels}
    lines += ["LABEL " + " \\\n      ".join(f"{key}={_quoted(labels[key])}" for key in sorted(labels))]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """A label's value as the Dockerfile's parser reads it back, on one line."""
    for special in ("\\", '"', "$"):
        value = value.replace(special, "\\" + special)
    return '"' + " ".join(value.splitlines()) + '"'


def _new_folder(bundle: Path, stack: ExitStack) -> Path:
    """A folder to write into that is gone afterwards, come what may; also removes what a killed run left."""
    for left in bundle.glob(f".{FOLDER}-*"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = stack.enter_context(tempfile.TemporaryDirectory(dir=bundle, prefix=f".{FOLDER}-"))
    folder = Path(temporary, FOLDER)
    folder.mkdir()
    return folder


def _unpack(wheel: wheels.Wheel, exclude: Sequence[str], stack: ExitStack) -> tuple[archive.Entry, ...]:
    """A wheel's files; the wheel stays open until the stack is closed."""
    try:
        opened = stack.enter_context(zipfile.ZipFile(wheel.path))
    except (zipfile.BadZipFile, OSError) as error:
        raise MissingError(f"{wheel.path} is not a readable wheel: {error}", fix="remove it and try again") from error
    return tuple(layers.wheel_entries(opened, exclude))


def _models(bundle: Path) -> list[sbom.Model]:
    """The artifacts that a bundle's manifest names, with the digests of the files as they are."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    found = []
    for artifact in manifest["artifacts"]:
        name = artifact["file"]
        _, _, precision = name.removesuffix(PurePosixPath(name).suffix).partition(".")
        found.append(
            sbom.Model(
                name=f"{manifest.get('name', 'model')}/{name}",
                file=name,
                sha256=file_digest(bundle / name),
                format=artifact.get("format", PurePosixPath(name).suffix.lstrip(".")),
                precision=artifact.get("precision", precision),
            )
        )
    return found


def _distribution(wheel: wheels.Wheel, entries: Sequence[archive.Entry]) -> sbom.Distribution:
    """A wheel as the bill of materials lists it."""
    found = [entry for entry in entries if entry.path.endswith(".dist-info/METADATA")]
    text = ""
    for entry in found[:1]:
        with entry.open() as content:
            text = content.read().decode("utf-8", "replace")
    return sbom.Distribution(wheel.name, wheel.version, wheel.sha256, text)


def _to_dict(context: Context) -> dict[str, Any]:
    """What `read` needs; no path of this machine, so that two folders hold the same bytes."""
    fields = {key: value for key, value in asdict(context).items() if key not in ("path", "dockerfile")}
    return {"schema": SCHEMA, **fields}
