"""Which artifacts and runtimes does a bundle hold, and are its files what its manifest says?"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import sessions
from .columns import MISSING, Columns, check_order
from .errors import UsageError

SCHEMA = "edgepack.manifest/1"

LONGEST_NAME = 255
"""Bytes in the name of a file, as file systems have it."""


@dataclass(frozen=True)
class Entry:
    """One artifact under one runtime.

    Attributes:
        name: The artifact's file name.
        path: Where the file is.
        runtime: The session that runs it.
        threads: Threads that one inference may use.
        sha256: What the manifest says of the file; None for a bare file.
        golden: The file of golden samples; None for a bare file.
        golden_sha256: What the manifest says of that file; None when it says nothing.
        tolerance: How far the outputs of another machine may differ, as in the manifest.
        columns: What stands in each place of a sample, for a model of a table; as in the manifest.
        task: What the outputs are answers to.
        allow_cpu: Whether a runtime of an accelerator may do without it, as the target says.
    """

    name: str
    path: Path
    runtime: str
    threads: int
    sha256: str | None
    golden: Path | None
    golden_sha256: str | None
    tolerance: Mapping[str, float] | None
    columns: Columns = ()
    task: str = "classification"
    allow_cpu: bool = False

    def job(self) -> dict[str, Any]:
        """The entry as JSON values, for a process of its own."""
        return {
            "artifact": self.name,
            "path": str(self.path),
            "runtime": self.runtime,
            "threads": self.threads,
            "golden": None if self.golden is None else str(self.golden),
            "tolerance": None if self.tolerance is None else dict(self.tolerance),
            "columns": [dict(column) for column in self.columns],
            "task": self.task,
            "allow_cpu": self.allow_cpu,
        }


def read(
    folder: Path, *, artifacts: Sequence[str] = (), runtime: str | None = None, threads: int | None = None
) -> list[Entry]:
    """List the artifacts of a bundle with each of their runtimes.

    Args:
        folder: The bundle.
        artifacts: Only these files, by name; all when empty.
        runtime: Only this runtime.
        threads: Instead of the manifest's number.

    Raises:
        UsageError: There is no manifest, it cannot be read, or nothing in it is as asked for.
    """
    manifest = _manifest(folder)
    try:
        held = manifest["artifacts"]
        known = [str(artifact["file"]) for artifact in held]
        for name in artifacts:
            if name not in known:
                raise UsageError(f"the bundle {folder} has no artifact {name!r}; expected one of: {', '.join(known)}")
        golden = manifest.get("golden") or {}
        golden_path = _inside(folder, golden["file"]) if golden else None
        entries = [
            Entry(
                name=str(artifact["file"]),
                path=_inside(folder, artifact["file"]),
                runtime=str(name),
                threads=int(threads or manifest.get("threads") or 1),
                sha256=str(artifact["sha256"]),
                golden=golden_path,
                golden_sha256=manifest.get("files", {}).get(golden.get("file")),
                tolerance=_tolerance(artifact.get("tolerance")),
                columns=_columns(manifest.get("columns")),
                task=str(manifest.get("task", "classification")),
                allow_cpu=(manifest.get("target_spec") or {}).get("allow_cpu") is True,
            )
            for artifact in held
            for name in artifact["runtimes"]
            if (not artifacts or artifact["file"] in artifacts) and runtime in (None, name)
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"{folder / 'manifest.json'} is not a manifest as {SCHEMA} describes it ({error!r}); make the bundle again"
        ) from error
    if not entries:
        wanted = f"runtime {runtime!r}" if runtime else "an artifact with a runtime"
        raise UsageError(f"nothing to do: the bundle {folder} has no file for {wanted}")
    return entries


def table(folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """The names of a bundle's classes, and the texts that stand for a missing value, casefolded.

    Raises:
        UsageError: There is no manifest, or it cannot be read.
    """
    manifest = _manifest(folder)
    told: Any = manifest
    for key in ("recipe", "data", "missing"):
        told = told.get(key) if isinstance(told, dict) else None
    labels = manifest.get("labels") or []
    if not _are_texts(labels) or not (told is None or _are_texts(told)):
        raise UsageError(f"{folder / 'manifest.json'}: labels and recipe.data.missing must be lists of texts")
    return list(labels), MISSING if told is None else tuple(text.casefold() for text in told)


def bare(path: Path, *, runtime: str | None = None, threads: int | None = None) -> Entry:
    """A model file without a bundle: no golden samples, no hash, the first fitting runtime that is installed.

    Raises:
        UsageError: There is no such file or no runtime reads it.
        RunnerError: No runtime that reads it is installed.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}; expected a model file")
    chosen = runtime or sessions.for_file(path)
    expected = sessions.load(chosen).FORMAT
    if path.suffix.lstrip(".").lower() != expected:
        raise UsageError(f"runtime {chosen} got {path.name!r}; expected a .{expected} file")
    return Entry(path.name, path, chosen, threads or 1, None, None, None, None)


def one(path: Path, *, artifact: str | None = None, runtime: str | None = None, threads: int | None = None) -> Entry:
    """A single artifact under a single runtime: a bare file, or one of a bundle.

    Args:
        path: A model file, or a bundle's folder.
        artifact: Which file of the bundle; not needed when there is one only.
        runtime: Which runtime; the first when absent.
        threads: Instead of the manifest's number, or 1.

    Raises:
        UsageError: There is no such thing, or several artifacts.
        RunnerError: No runtime that reads the file is installed.
    """
    if not path.is_dir():
        return bare(path, runtime=runtime, threads=threads)
    entries = read(path, artifacts=[artifact] if artifact else [], runtime=runtime, threads=threads)
    names = list(dict.fromkeys(entry.name for entry in entries))
    if len(names) > 1:
        raise UsageError(f"the bundle {path} has several artifacts; name one of: {', '.join(names)}")
    return entries[0]


def altered(entry: Entry) -> str | None:
    """Which file of an entry is not what the manifest says, as a sentence; None when all are."""
    for path, expected in ((entry.path, entry.sha256), (entry.golden, entry.golden_sha256)):
        if path is None or expected is None:
            continue
        if not path.is_file():
            return f"{path.name} is missing from the bundle"
        found = sha256(path)
        if found != expected:
            return f"{path.name} is not the file that was packed: sha256 {found}, the manifest says {expected}"
    return None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def golden_input(path: Path, columns: Columns) -> NDArray[Any]:
    """The golden samples, for a model of a table only if they hold its columns.

    Raises:
        UsageError: The file cannot be read, or the columns are others.
    """
    if columns:
        check_order([str(name) for name in golden_array(path, "columns")], columns)
    return golden_array(path, "input")


def golden_array(path: Path, key: str) -> NDArray[Any]:
    """One array of the golden samples: ``input``, ``label``, ``columns`` or ``output/<file>/<runtime>``.

    Raises:
        UsageError: The file cannot be read or has no such array.
    """
    try:
        # numpy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            array: NDArray[Any] = arrays[key]
    except KeyError as error:
        raise UsageError(f"{path.name} holds no array {key!r}; make the bundle again") from error
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"{path.name} cannot be read as golden samples: {error}") from error
    return array


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}; expected a bundle: a folder with manifest.json") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"{path} has the schema {schema!r}; expected {SCHEMA!r}")
    return dict(manifest)


def _inside(folder: Path, name: str) -> Path:
    """A file of the bundle; a manifest from elsewhere may not name files outside its folder."""
    if Path(name).name != name or "\0" in name or len(os.fsencode(name)) > LONGEST_NAME:
        raise ValueError(f"{name!r} is not a plain file name")
    return folder / name


def _tolerance(given: Any) -> dict[str, float] | None:
    """What a manifest says of how far outputs may differ; each limit is a number."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise TypeError(f"the tolerance {str(given)[:100]}")
    return {str(key): float(given[key]) for key in given if key in ("max_abs", "top1") and given[key] is not None}


def _columns(given: Any) -> Columns:
    """A manifest's columns, which are read by their keys later on."""
    columns = tuple(given or ())
    for column in columns:
        codes = [float(column[key]) for key in ("unknown", "missing")] if column["type"] == "category" else []
        if not isinstance(column["name"], str) or (codes and not _are_texts(column["vocabulary"])):
            raise ValueError(f"{str(column)[:100]} is not a column")
    return columns


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)
