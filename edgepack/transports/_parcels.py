"""What is sent to a device for a path of this machine, and how is it told whether the device has it already?"""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack import bundle
from edgepack.errors import MissingError
from edgepack.images import layers
from edgepack.images.archive import Entry, from_path

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Parcel:
    """Files that are sent together or not at all.

    Attributes:
        name: For people: `numpy 2.1.0`, or a file's name.
        key: Digest of all paths, modes and contents, 64 hexadecimal digits.
        entries: The files, each with its path inside the parcel.
    """

    name: str
    key: str
    entries: tuple[Entry, ...]

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of its files."""
        return sum(entry.size_bytes for entry in self.entries)


def parcel(name: str, entries: Iterable[Entry]) -> Parcel:
    """A parcel of these files; each of them is read for the digest."""
    found = tuple(sorted(entries, key=lambda entry: entry.path))
    digest = hashlib.sha256()
    for entry in found:
        with entry.open() as content:
            own = hashlib.sha256()
            while block := content.read(BLOCK_BYTES):
                own.update(block)
        digest.update(f"{own.hexdigest()} {int(entry.executable)} {entry.path}\n".encode())
    return Parcel(name, digest.hexdigest(), found)


def contents(path: Path) -> list[Entry]:
    """The files that a runner needs of a path.

    Args:
        path: A file, a bundle's folder (of which only artifacts and golden samples are needed, with a manifest that
            lists no others) or any other folder.

    Returns:
        Each file, its path relative to the folder, or a lone file's own name.

    Raises:
        MissingError: There is nothing, or the bundle is not complete.
    """
    if not path.exists():
        raise MissingError(f"there is no file or folder {path}", fix="check the path")
    if path.is_file():
        return [from_path(path, path.name)]
    if bundle.is_bundle(path):
        return [
            Entry(entry.path.removeprefix(f"{layers.BUNDLE}/"), entry.size_bytes, entry.open)
            for entry in layers.model_entries(path)
        ]
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return [from_path(file, file.relative_to(path).as_posix()) for file in files]


def unpack(entries: Sequence[Entry], folder: Path) -> None:
    """Write files into a folder of this machine, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        target = folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with entry.open() as content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(0o755 if entry.executable else 0o644)
