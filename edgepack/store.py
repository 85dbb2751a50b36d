"""Where are finished stages kept, and how is half-finished work told from finished work?

``<root>/cache/<stage>-<key>/`` holds the files of one finished stage and ``entry.json``. A stage writes into a folder
whose name starts with ``.tmp-``, which is renamed when it is complete: what has its final name is complete. What a
stage that takes long goes on from after it was stopped is in ``.checkpoints-<stage>-<key>/``.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgepack.errors import MissingError, RecipeError

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """A finished stage.

    Attributes:
        path: Its folder.
        digest: Digest of its files' content; later stages depend on it.
        seconds: How long the work took, seconds.
        figures: What the stage reported; not part of the digest.
        peak_mib: Most memory that one process of the stage held, MiB; None when unknown.
    """

    path: Path
    digest: str
    seconds: float
    figures: Mapping[str, Any]
    peak_mib: float | None = None


class Store:
    """The cache of one run folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run folder for this process.

        Raises:
            RecipeError: Another process holds it.
            MissingError: The folder cannot be written.
        """
        with explain_os_errors(self.root):
            self.cache.mkdir(parents=True, exist_ok=True)
            stream = (self.root / ".lock").open("a+")
        try:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                stream.seek(0)
                owner = stream.read().strip() or "unknown"
                raise RecipeError(
                    f"another edgepack run (process {owner}) is working in {self.root}",
                    fix="wait for it to end, or give this run another folder with --out",
                ) from error
            with explain_os_errors(self.root):
                stream.truncate(0)
                stream.write(str(os.getpid()))
                stream.flush()
                self._clean()
            yield
        finally:
            stream.close()

    def find(self, stage: str, key: str) -> Entry | None:
        """The finished entry for a key, or None."""
        path = self.cache / f"{stage}-{key}"
        try:
            record = json.loads((path / "entry.json").read_text())
        except (OSError, ValueError):
            return None
        return Entry(path, record["digest"], record["seconds"], record["figures"], record.get("peak_mib"))

    def begin(self, stage: str, key: str) -> Path:
        """A new empty folder for a stage's files."""
        path = self.cache / f".tmp-{stage}-{key}-{os.getpid()}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def commit(
        self,
        stage: str,
        key: str,
        temporary: Path,
        *,
        seconds: float,
        figures: Mapping[str, Any],
        peak_mib: float | None = None,
    ) -> Entry:
        """Give a finished folder its final name."""
        digest = tree_digest(temporary)
        record = {"digest": digest, "seconds": seconds, "figures": figures, "peak_mib": peak_mib}
        (temporary / "entry.json").write_text(json.dumps(record, indent=1) + "\n")
        path = self.cache / f"{stage}-{key}"
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
        for checkpoints in self.cache.glob(f".checkpoints-{stage}-*"):  # those of other keys are of no use either
            shutil.rmtree(checkpoints, ignore_errors=True)
        return Entry(path, digest, seconds, figures, peak_mib)

    def checkpoints(self, stage: str, key: str) -> Path:
        """The folder, which need not exist, from which a stage goes on after it was stopped."""
        return self.cache / f".checkpoints-{stage}-{key}"

    def forget(self, stage: str, key: str) -> None:
        """Drop a finished entry, and what an unfinished one would go on from, so that its stage runs again."""
        for path in (self.cache / f"{stage}-{key}", self.checkpoints(stage, key)):
            shutil.rmtree(path, ignore_errors=True)

    def _clean(self) -> None:
        for leftover in [*self.cache.glob(".tmp-*"), *self.root.glob(".tmp-*"), *self.root.glob(".old-*")]:
            shutil.rmtree(leftover, ignore_errors=True)


def key_of(*parts: object) -> str:
    """Short digest of JSON-ready values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@cache
def code_digest(*packages: str) -> str:
    """Digest of the source of some of edgepack's modules and sub-packages, by their top-level names."""
    digest = hashlib.sha256()
    for name in sorted(packages):
        folder = PACKAGE / name
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        for file in files:
            digest.update(str(file.relative_to(PACKAGE)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def versions(*packages: str) -> dict[str, str | None]:
    """Installed versions of distributions; None for those that are absent."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def tree_digest(folder: Path, *, exclude: Sequence[str] = ("entry.json",)) -> str:
    """Digest of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in exclude):
        digest.update(f"{path.relative_to(folder)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the whole new one."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    data = content.encode() if isinstance(content, str) else content
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_json(path: Path, document: object) -> None:
    """Write JSON atomically, keys in the order given."""
    write_atomic(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder and their like into one clear error.

    Raises:
        MissingError: No space, no permission, a read-only file system.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MissingError(
                f"no space left for {path}",
                fix="free some space, or choose another folder with --out; then run again",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise MissingError(
                f"{path} cannot be written: {error.strerror}", fix="choose another folder with --out"
            ) from error
        raise
