"""How does a measurement that was made elsewhere get into a run's folder?"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgepack.errors import MissingError, RecipeError
from edgepack.report import reading

SCHEMA = "edgepack.latency/1"


def add(file: Path, run_dir: Path, keep: Callable[[Path, dict[str, Any]], Path]) -> tuple[Path, ...]:
    """Put a device's measurement beside every target whose files it measured.

    Args:
        file: What ``./bench`` of an offline bundle left, or what ``edgepack bench --json`` printed.
        run_dir: The run's folder.
        keep: Puts a document into a bundle's folder and returns its file, as `edgepack.measurement.keep` does.

    Returns:
        The files that were written, ``<target>/devices/<name>.json``.

    Raises:
        MissingError: There is no such file or run.
        RecipeError: It is no measurement, or one of other files than this run's.
    """
    document = _read(file)
    if not reading.text(reading.mapping(document, "device"), "name"):
        document["device"] = {"address": None, "name": file.stem, "simulated": False}
    measured = {reading.text(result, "sha256") for result in reading.objects(document, "results")} - {None}
    folders = [path.parent for path in sorted(run_dir.glob("*/manifest.json"))]
    if not folders:
        raise MissingError(f"{str(run_dir)!r} holds no bundle", fix="name the folder of a run, such as out/digits")
    written = []
    for folder in folders:
        manifest, _ = reading.read_document(folder / "manifest.json", "edgepack.manifest/1")
        own = {reading.text(artifact, "sha256") for artifact in reading.objects(manifest, "artifacts")}
        if measured & own:
            written.append(keep(folder, document))
    if not written:
        raise RecipeError(
            f"{file} measured other files than those of {str(run_dir)!r}: none of its checksums is in a manifest there",
            fix="measure this run's bundle, or name the run whose bundle was measured",
        )
    return tuple(written)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise MissingError(
            f"{file} cannot be read: {error.strerror}", fix="name the JSON that a device left"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{file} is not valid JSON", fix="name the JSON that a device left") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(document, dict) or found != SCHEMA:
        raise RecipeError(
            f"{file} has the schema {found!r}, expected {SCHEMA!r}",
            fix="name what './bench' of an offline bundle left, or what 'edgepack bench --json' printed",
        )
    return document
