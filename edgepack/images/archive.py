"""How is a layer packed so that the same files always give the same bytes?"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755
FOLDER_MODE = 0o755


@dataclass(frozen=True)
class Entry:
    """One file of a layer: where it goes, what is in it, whether it may be executed.

    Attributes:
        path: Where the file goes, relative to the root of the image, with forward slashes.
        size_bytes: Number of bytes that `open` will give.
        open: Opens the content for reading; the caller closes it.
        executable: True gives mode 0755, False 0644.
    """

    path: str
    size_bytes: int
    open: Callable[[], IO[bytes]]
    executable: bool = False


@dataclass(frozen=True)
class Layer:
    """One packed layer: its name, its file and what proves it.

    Attributes:
        name: What the layer holds: `runtime`, `runner` or `model`.
        file: Name of the archive inside the build context.
        sha256: Digest of the archive, 64 hexadecimal digits.
        size_bytes: Sum of the sizes of the files in it.
    """

    name: str
    file: str
    sha256: str
    size_bytes: int


def from_path(source: Path, path: str) -> Entry:
    """An entry that copies a file of this machine."""
    return Entry(path, source.stat().st_size, lambda: source.open("rb"))


def from_bytes(content: bytes, path: str) -> Entry:
    """An entry whose content is already in memory."""
    return Entry(path, len(content), lambda: io.BytesIO(content))


def source_date_epoch() -> int:
    """The time that all files get: SOURCE_DATE_EPOCH in seconds, or 0 (https://reproducible-builds.org/specs/)."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def write(target: Path, name: str, entries: Iterable[Entry], *, mtime_s: int = 0) -> Layer:
    """Pack entries into a tar archive: sorted, one time for all, owned by root, two modes only.

    Args:
        target: The archive to write.
        name: Name of the layer.
        entries: The files in any order; parent folders are added.
        mtime_s: Modification time of every entry, seconds since 1970.

    Raises:
        ValueError: Two entries have the same path, or a path leaves the root.
    """
    by_path: dict[str, Entry] = {}
    folders: set[str] = set()
    for entry in entries:
        pure = PurePosixPath(entry.path)
        if pure.is_absolute() or ".." in pure.parts or str(pure) != entry.path:
            raise ValueError(f"the layer {name!r} has a path that is not plain and relative: {entry.path!r}")
        if entry.path in by_path:
            raise ValueError(f"the layer {name!r} has two files at {entry.path!r}")
        by_path[entry.path] = entry
        folders.update(str(parent) for parent in pure.parents if parent.parts)
    with tarfile.open(target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted([*folders, *by_path]):
            info = tarfile.TarInfo(path)
            info.mtime = mtime_s
            if path in folders:
                info.type, info.mode = tarfile.DIRTYPE, FOLDER_MODE
                tar.addfile(info)
            else:
                entry = by_path[path]
                info.size, info.mode = entry.size_bytes, EXECUTABLE_MODE if entry.executable else FILE_MODE
                with entry.open() as content:
                    tar.addfile(info, content)
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Layer(name, target.name, sha256, sum(entry.size_bytes for entry in by_path.values()))
