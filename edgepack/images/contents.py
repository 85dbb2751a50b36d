"""Where do the bytes of an image go: which layer, which package?"""

import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Literal, cast

from edgepack.images import base, facts, leftovers, records

SCHEMA = "edgepack.contents/1"
MB = 1_000_000
LAYERS = ("runtime", "runner", "model")
LARGEST_BASE = 2_000_000_000
"""A base image with more bytes is not read through for its own packages: it would take minutes."""

SHOWN = 24
"""Packages that the table names; what is smaller is one line."""

# What of an image is neither a package of Debian nor of Python.
OWN = {
    "opt/edgepack/app/": "edgepack",
    "opt/edgepack/LICENSE": "edgepack",
    "opt/edgepack/sbom.": "edgepack",
    "bundle/": "model and golden samples",
}

Kind = Literal["python", "debian", "edgepack", "other"]
Owner = tuple[str, str, str | None]
"""Kind, name and version of what a file belongs to."""


@dataclass(frozen=True)
class Part:
    """One package of an image, or what belongs to none.

    Attributes:
        name: Of the package; a sentence for what is none.
        version: Its version, or None.
        kind: `python`, `debian`, `edgepack` (its own code and the model) or `other`.
        size_bytes: Sum of its files' sizes.
    """

    name: str
    version: str | None
    kind: Kind
    size_bytes: int


@dataclass(frozen=True)
class Contents:
    """An image by layer and by package; both add up to its size, but for what the engine rounds.

    Attributes:
        size_bytes: What it takes unpacked.
        layers: Name and size of each layer from the base up.
        parts: Its packages, the largest first.
    """

    size_bytes: int
    layers: tuple[tuple[str, int], ...]
    parts: tuple[Part, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "schema": SCHEMA,
            "size_bytes": self.size_bytes,
            "layers": [{"name": name, "size_bytes": size} for name, size in self.layers],
            "packages": [asdict(part) for part in self.parts],
        }


def from_dict(document: Mapping[str, Any]) -> Contents:
    """The contents that `Contents.to_dict` gave.

    Raises:
        KeyError, TypeError: They are of another form.
    """
    return Contents(
        document["size_bytes"],
        tuple((layer["name"], layer["size_bytes"]) for layer in document["layers"]),
        tuple(Part(**part) for part in document["packages"]),
    )


def of_image(client: Any, image: str) -> Contents:
    """Look through an image by its files, from a container that is never started.

    Args:
        client: A `docker.DockerClient`.
        image: Name or id of an image that the engine has.

    Raises:
        MissingError: The engine has no such image.
    """
    record = base.inspect(client, image)
    total = int(record["Size"])
    layers = layer_sizes(client.api.history(image), total)
    with leftovers.looking(client, str(record["Id"])) as container:
        large = layers[0][1] > LARGEST_BASE
        places = ("/opt/edgepack", "/bundle") if large else ("/",)
        found: list[Part] = [Part("base image", None, "other", layers[0][1])] if large else []
        for place in places:
            found += _read_through(client, container, place)
    return Contents(total, layers, tuple(sorted(found, key=lambda part: (-part.size_bytes, part.name))))


def layer_sizes(
    history: Sequence[Mapping[str, Any]], total: int, names: tuple[str, ...] = LAYERS
) -> tuple[tuple[str, int], ...]:
    """The sizes of the layers that edgepack adds, by the steps of an image's history, and what is below them.

    Args:
        history: The engine's, newest step first.
        total: What the whole image takes, bytes.
        names: What the layers are called, from the bottom up.
    """
    # Ours are the last ones added, in the Dockerfile's order.
    added = [step["Size"] for step in history if "ADD " in step["CreatedBy"]][: len(names)]
    if len(added) < len(names):
        return (("base", total),)
    return (("base", total - sum(added)), *zip(names, reversed(added), strict=True))


def of_files(sizes: Mapping[str, int], texts: Mapping[str, str]) -> tuple[Part, ...]:
    """Which package each file belongs to, and what that makes.

    Args:
        sizes: Size of every file of the image, by its path without a leading slash.
        texts: Text of those files of them that list packages; see `is_list`.

    Returns:
        One part for each package that has files, the largest first.
    """
    owner: dict[str, Owner] = dict.fromkeys(sizes, ("other", "files of no package", None))
    for folder, name in OWN.items():
        owner |= dict.fromkeys((path for path in sizes if path.startswith(folder)), ("edgepack", name, None))
    for key, paths in (*_debian(texts), *_python(texts)):
        owner |= dict.fromkeys((path for path in paths if path in owner), key)
    for path in sizes:
        source = _source(path)
        if source in owner and owner[path][0] == "other":
            owner[path] = owner[source]
    totals: dict[Owner, int] = {}
    for path, key in owner.items():
        totals[key] = totals.get(key, 0) + sizes[path]
    parts = [Part(name, version, cast(Kind, kind), size) for (kind, name, version), size in totals.items() if size]
    return tuple(sorted(parts, key=lambda part: (-part.size_bytes, part.name)))


def is_list(path: str) -> bool:
    """Whether a file lists packages or their files: dpkg's in both of its forms, and Python's RECORD."""
    pure = PurePosixPath(path)
    if pure.name == "RECORD":
        return pure.parent.name.endswith(".dist-info")
    if str(pure.parent) == "var/lib/dpkg/info":
        return pure.suffix == ".list"
    return path == "var/lib/dpkg/status" or str(pure.parent) == "var/lib/dpkg/status.d"


def table(contents: Contents) -> str:
    """The sizes for people: MB (millions of bytes) by layer and by package."""
    lines = [f"{'layer':<34} {'MB':>8}"]
    lines += [f"{name:<34} {size / MB:>8.1f}" for name, size in contents.layers]
    lines += [f"{'all':<34} {contents.size_bytes / MB:>8.1f}", "", f"{'package':<34} {'MB':>8}  version"]
    for part in contents.parts[:SHOWN]:
        lines.append(f"{part.name:<34} {part.size_bytes / MB:>8.1f}  {part.version or ''}".rstrip())
    rest = contents.parts[SHOWN:]
    if rest:
        lines.append(f"{f'{len(rest)} smaller ones':<34} {sum(part.size_bytes for part in rest) / MB:>8.1f}")
    return "\n".join(lines)


def _debian(texts: Mapping[str, str]) -> Iterator[tuple[Owner, Iterable[str]]]:
    """Debian's packages with their files, from one list for each package or one for all."""
    for path, text in texts.items():
        pure = PurePosixPath(path)
        if str(pure.parent) == "var/lib/dpkg/status.d" and pure.suffix != ".md5sums":
            for package in facts.parse_status(text):
                lines = texts.get(f"{path}.md5sums", "").splitlines()
                files = [_merged(line.partition("  ")[2]) for line in lines]
                yield ("debian", package.name, package.version), [*files, path, f"{path}.md5sums"]
        elif path == "var/lib/dpkg/status":
            for package in facts.parse_status(text):
                for name in (package.name, f"{package.name}:{package.architecture}"):
                    lines = texts.get(f"var/lib/dpkg/info/{name}.list", "").splitlines()
                    yield ("debian", package.name, package.version), [_merged(line.lstrip("/")) for line in lines]


def _python(texts: Mapping[str, str]) -> Iterator[tuple[Owner, Iterable[str]]]:
    """Python's packages with their files, by what installers wrote down."""
    for path, text in texts.items():
        pure = PurePosixPath(path)
        if pure.name == "RECORD":
            site = pure.parent.parent
            name, _, version = pure.parent.name.removesuffix(".dist-info").partition("-")
            files = [_plain(str(site / file)) for file, _ in records.sizes(text)]
            yield ("python", name.replace("_", "-").lower(), version or None), files


def _source(path: str) -> str:
    """Where the source of a compiled module lies; for anything else nowhere."""
    found = re.fullmatch(r"(.*/)__pycache__/([^/]+)\.cpython-\d+\.pyc", path)
    return f"{found[1]}{found[2]}.py" if found else ""


def _merged(path: str) -> str:
    """A path as it is under Debian's merged /usr."""
    return f"usr/{path}" if path.split("/")[0] in ("bin", "sbin", "lib", "lib64") else path


def _plain(path: str) -> str:
    """A path without ``..``, which scripts have in a RECORD."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _read_through(client: Any, container: str, place: str) -> tuple[Part, ...]:
    """The parts of one folder of a container."""
    import docker.errors

    try:
        stream = client.api.export(container) if place == "/" else client.api.get_archive(container, place)[0]
    except docker.errors.NotFound:
        return ()
    prefix = str(PurePosixPath(place).parent).strip("/")
    sizes: dict[str, int] = {}
    texts: dict[str, str] = {}
    with tarfile.open(fileobj=cast(IO[bytes], _Stream(stream)), mode="r|") as archive:
        for member in archive:
            path = f"{prefix}/{member.name}".strip("/") if prefix else member.name.removeprefix("./")
            if not member.isfile():
                continue
            sizes[path] = member.size
            if is_list(path) and member.size <= facts.LONGEST:
                content = archive.extractfile(member)
                texts[path] = content.read().decode("utf-8", "replace") if content else ""
    return of_files(sizes, texts)


class _Stream:
    """An iterator of bytes as a file that can be read forwards."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def read(self, size: int) -> bytes:
        parts, have = [self._left], len(self._left)
        while have < size and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            have += len(chunk)
        content = b"".join(parts)
        self._left = content[size:]
        return content[:size]
