"""How does a bundle get the zip files that an app on a phone takes its model from?"""

import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgepack import bundle
from edgepack.images.archive import source_date_epoch
from edgepack.mobile.snippets import TEMPLATES, Facts, render
from edgepack.runner.tensors import TensorSpec, quantize
from edgepack.store import code_digest, key_of, tree_digest, write_json

MOBILE_SCHEMA = "edgepack.mobile/1"
FAMILY = "mobile"
"""Family of the images of targets that get these."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file can name."""
MODE = 0o644

Progress = Callable[[Mapping[str, Any]], None]


def make(folder: Path, *, progress: Progress, force: bool = False) -> bool:
    """Write ``mobile/`` of a bundle: a zip file for each .tflite file, and ``mobile.json``, which tells of them.

    Returns:
        Whether everything was there already.

    Raises:
        ConversionError: A file's ends are of a type that an app cannot be shown how to fill.
    """
    manifest = bundle.read_manifest(folder)
    artifacts = [artifact for artifact in manifest["artifacts"] if artifact["format"] == "tflite"]
    key = key_of(
        {key: value for key, value in manifest.items() if key not in ("files", "parts", "choice", "tools")},
        manifest["files"][manifest["golden"]["file"]],
        code_digest("mobile"),
        tree_digest(TEMPLATES),
        source_date_epoch(),
    )
    previous = read(folder)
    if not force and previous is not None and previous.get("key") == key:
        return True
    staging = folder / f".tmp-mobile-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        packages = []
        for artifact in artifacts:
            progress({"label": "mobile", "text": f"zip of {artifact['file']}"})
            name = f"{manifest['name']}_{artifact['precision']}"
            files = contents(folder, manifest, artifact)
            pack(staging / f"{name}.zip", name, files)
            packages.append({"artifact": artifact["file"], "file": f"{name}.zip", "contents": sorted(files)})
        write_json(staging / "mobile.json", {"schema": MOBILE_SCHEMA, "key": key, "packages": packages})
        shutil.rmtree(folder / "mobile", ignore_errors=True)
        staging.rename(folder / "mobile")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return False


def read(folder: Path) -> dict[str, Any] | None:
    """``mobile/mobile.json`` of a bundle, or None."""
    try:
        document = json.loads((folder / "mobile" / "mobile.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def contents(folder: Path, manifest: Mapping[str, Any], artifact: Mapping[str, Any]) -> dict[str, bytes]:
    """What the zip file of an artifact holds, by name, with the checksums of it all."""
    with np.load(folder / manifest["golden"]["file"], allow_pickle=False) as golden:
        sample = quantize(golden["input"][:1], TensorSpec.from_dict(artifact["inputs"][0]))
        answer = golden[f"output/{artifact['file']}/{artifact['runtimes'][0]}"][:1]
    facts = Facts(manifest, artifact, sample, answer)
    files = {
        artifact["file"]: (folder / artifact["file"]).read_bytes(),
        "model.json": (json.dumps(_description(manifest, artifact), indent=1) + "\n").encode(),
        "labels.txt": "".join(f"{' '.join(label.split())}\n" for label in manifest["labels"]).encode(errors="replace"),
        "golden_input.bin": _little_endian(sample),
        "golden_output.bin": _little_endian(answer),
        **{name: text.encode(errors="replace") for name, text in render(facts).items()},
    }
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return {**files, "SHA256SUMS": sums.encode()}


def pack(path: Path, folder: str, files: Mapping[str, bytes]) -> None:
    """Write a zip file: sorted, one time for all, nothing compressed.

    Compressed bytes depend on the version of zlib, and Android maps a model into memory as it stands in the app.

    Args:
        path: The zip file.
        folder: Name of the one folder in it.
        files: Contents by name.
    """
    moment = max(EARLIEST, time.gmtime(source_date_epoch())[:6])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{name}", moment)
            entry.create_system = 3  # Unix, whatever system writes it
            entry.external_attr = MODE << 16
            archive.writestr(entry, files[name])


def _description(manifest: Mapping[str, Any], artifact: Mapping[str, Any]) -> dict[str, Any]:
    """What a program has to know of the model, and where it comes from; fields are those of the manifest."""
    general = ("name", "target", "task", "threads", "recipe_sha256", "data_fingerprint")
    own = ("file", "sha256", "size_bytes", "precision", "inputs", "outputs", "tolerance", "lineage")
    return {
        **{key: manifest[key] for key in general},
        **{key: artifact[key] for key in own},
        **{key: manifest[key] for key in ("preprocessing", "labels", "columns")},
    }


def _little_endian(values: "np.ndarray[Any, np.dtype[Any]]") -> bytes:
    return values.astype(values.dtype.newbyteorder("<")).tobytes()
