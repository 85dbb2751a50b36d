"""What is in the folder that a person ships for one target, and is it what its manifest says?"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgepack.config import first_message
from edgepack.errors import MissingError, RecipeError, VerificationError
from edgepack.store import file_digest, write_json
from edgepack.target import Target

MANIFEST_SCHEMA = "edgepack.manifest/1"

LONGEST_NAME, DEEPEST = 255, 8
"""Bytes in the name of a file, as file systems have it, and folders around one of a bundle."""


def publish(
    folder: Path, *, files: Mapping[str, Path], documents: Mapping[str, object], manifest: dict[str, Any]
) -> bool:
    """Put a bundle's first files into place, all at once.

    A bundle that holds exactly these files already is left alone, with whatever later stages added to it.

    Args:
        folder: ``out/<recipe>/<target>``.
        files: Files to copy, by their name in the bundle.
        documents: JSON documents to write, by name.
        manifest: The manifest without ``files``.

    Returns:
        True when the folder was written, False when it was already right.
    """
    staging = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, source in files.items():
        shutil.copyfile(source, staging / name)
    for name, document in documents.items():
        write_json(staging / name, document)
    names = sorted([*files, *documents])
    manifest = {**manifest, "files": {name: file_digest(staging / name) for name in names}}
    if _holds(folder, manifest):
        shutil.rmtree(staging)
        return False
    write_json(staging / "manifest.json", {**manifest, "parts": _digests(manifest)})
    old = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return True


def record(folder: Path, key: str, value: object) -> None:
    """Note something in the manifest that a later stage found."""
    manifest = read_manifest(folder)
    if key not in manifest or manifest[key] != value:
        write_json(folder / "manifest.json", _changed(manifest, key, value))


def seal(folder: Path) -> None:
    """Bring the manifest's list of files up to date after a stage added some."""
    manifest = read_manifest(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not _ignored(path, folder))
    files = {str(path.relative_to(folder)): file_digest(path) for path in paths}
    if files != manifest["files"]:
        write_json(folder / "manifest.json", _changed(manifest, "files", files))


def with_files_only(manifest: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A manifest that lists only these files: that of an image, which must not change with what lies beside it."""
    kept = {name: digest for name, digest in manifest.get("files", {}).items() if name in names}
    return _changed(manifest, "files", kept)


def _changed(manifest: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    """A manifest with another value.

    The other parts keep the digests that they were given: what somebody edited is not blessed on the way.
    """
    changed = {**manifest, key: value}
    return {**changed, "parts": {**manifest["parts"], **_digests({key: value})}} if "parts" in manifest else changed


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the shape of a bundle's manifest.

    Raises:
        MissingError: The folder is no bundle.
        VerificationError: The manifest is damaged.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise MissingError(
            f"{folder} is no bundle: it has no manifest.json",
            fix="give a folder that `edgepack run` made: out/<recipe>/<target>",
        )
    try:
        manifest = json.loads(path.read_text())
    except (ValueError, OSError, RecursionError) as error:
        raise VerificationError(f"{path} is damaged: {error}", fix="run `edgepack run` again") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != MANIFEST_SCHEMA:
        found = manifest.get("schema") if isinstance(manifest, dict) else type(manifest).__name__
        raise VerificationError(
            f"{path} has the schema {found!r}; expected {MANIFEST_SCHEMA!r}",
            fix="use the edgepack version that made it",
        )
    wrong = _wrong(manifest)
    if wrong:
        raise VerificationError(f"{path} is damaged: {wrong}", fix="run `edgepack run` again")
    return manifest


def _wrong(manifest: Mapping[str, Any]) -> str:
    """What of a manifest is missing or of another form than stages and commands rely on; empty when nothing is."""
    required = ("name", "target", "artifacts", "files", "golden", "platform")
    missing = [key for key in required if key not in manifest]
    if missing:
        return ", ".join(missing)
    held, files, golden = (manifest[key] for key in ("artifacts", "files", "golden"))
    right = {
        **{key: isinstance(manifest[key], str) for key in ("name", "target", "platform")},
        "artifacts": isinstance(held, list) and all(_has_texts(artifact, "file", "sha256") for artifact in held),
        "files": isinstance(files, dict) and all(isinstance(digest, str) for digest in files.values()),
        "golden": _has_texts(golden, "file"),
    }
    wrong = [key for key, fine in right.items() if not fine]
    return f"{' and '.join(wrong)} {'have' if len(wrong) > 1 else 'has'} the wrong form" if wrong else ""


def _has_texts(value: object, *keys: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in keys)


def target_of(folder: Path, manifest: Mapping[str, Any]) -> Target:
    """The target that a bundle was made for, as its manifest describes it.

    Raises:
        VerificationError: The manifest says nothing of it, or what it says is no target.
    """
    path, fix = folder / "manifest.json", "run `edgepack run` again"
    if not isinstance(manifest.get("recipe_sha256"), str) or "target_spec" not in manifest:
        raise VerificationError(f"{path} says nothing of its recipe or its target", fix=fix)
    try:
        return Target.model_validate(manifest["target_spec"])
    except ValidationError as error:
        raise VerificationError(
            f"{path} describes no target: {'.'.join(map(str, error.errors()[0]['loc']))}: {first_message(error)}",
            fix=fix,
        ) from error


def changed_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Name each file that is missing, altered or unknown; empty when the bundle is whole."""
    problems = []
    for name, expected in manifest["files"].items():
        path = folder / name
        if not _is_inside(name):
            problems.append(f"{name}: the manifest names a file outside the bundle")
        elif not path.is_file():
            problems.append(f"{name} is missing")
        elif file_digest(path) != expected:
            problems.append(f"{name} was altered: its sha256 is not the manifest's")
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and not _ignored(p, folder)}
    problems.extend(f"{name} is not in the manifest" for name in sorted(present - set(manifest["files"])))
    doubtful = [a["file"] for a in manifest["artifacts"] if manifest["files"].get(a["file"]) != a["sha256"]]
    problems.extend(f"manifest.json: {name} has two different sha256" for name in doubtful)
    return [*problems, *(f"manifest.json was edited: {key!r}" for key in _edited(manifest))]


def _is_inside(name: str) -> bool:
    """Whether a name is that of a file which may stand in a folder."""
    try:
        parts = [os.fsencode(part) for part in Path(name).parts]
    except ValueError:  # half of a character
        return False
    fits = all(len(part) <= LONGEST_NAME and b"\0" not in part for part in parts) and len(parts) <= DEEPEST
    return fits and bool(parts) and b".." not in parts and not Path(name).is_absolute()


def _digests(parts: Mapping[str, Any]) -> dict[str, str]:
    """The sha256 of each value as JSON with sorted keys."""
    return {key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest() for key, value in parts.items()}


def _edited(manifest: Mapping[str, Any]) -> list[str]:
    """Keys of a manifest whose values are not those that it was written with; none where it has no digests of them."""
    written = manifest.get("parts")
    if not isinstance(written, dict):
        return []
    present = _digests({key: value for key, value in manifest.items() if key != "parts"})
    return [key for key in dict.fromkeys([*written, *present]) if written.get(key) != present.get(key)]


def is_bundle(path: Path) -> bool:
    """True for a folder with a manifest."""
    return (path / "manifest.json").is_file()


def require(path: Path) -> Path:
    """The folder itself when it is a bundle.

    Raises:
        RecipeError: It is a run folder (several bundles) rather than one bundle.
        MissingError: It is neither.
    """
    if not is_bundle(path) and path.is_dir():
        inside = sorted(str(child) for child in path.iterdir() if is_bundle(child))
        if inside:
            raise RecipeError(
                f"{path} holds several bundles; expected one of: {', '.join(inside)}", fix=f"e.g. {inside[0]}"
            )
    read_manifest(path)
    return path


def _holds(folder: Path, manifest: Mapping[str, Any]) -> bool:
    try:
        existing = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    later = dict.fromkeys(("files", "parts", "choice"))
    same_rest = {**existing, **later} == {**manifest, **later}
    listed = manifest["files"].items()
    same_files = all((folder / name).is_file() and file_digest(folder / name) == digest for name, digest in listed)
    return same_rest and same_files


def _ignored(path: Path, folder: Path) -> bool:
    relative = path.relative_to(folder)
    if relative.parts[0] == "devices":  # measurements that are added at any time, and are no part of what is shipped
        return True
    return str(relative) == "manifest.json" or any(part.startswith(".tmp-") for part in relative.parts)
