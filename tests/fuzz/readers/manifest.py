"""What does edgepack do with the JSON files of a bundle?

An input is one JSON document with the files of a run's folder, ``{"linux-amd64-cpu/manifest.json": ...}``; what is none
is the manifest itself. With ``"whole": true`` the digests in the manifest are put right, as whoever wants to be read
would.
"""

import json
import random
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepack import bundle, checks, images_of_bundles, imaging, latency, report
from edgepack.images import context, layers
from edgepack.report.document import to_json
from edgepack.report.markdown import to_markdown
from edgepack.runner import bundle as runner_bundle
from edgepack.runner import columns, verify
from edgepack.store import file_digest

from ..mutations import mutate_json
from . import Flip, Part

SUFFIX = ".json"

DRAWN = 100
"""Its diagrams take a second: one report of so many gets them."""

TARGET = "linux-amd64-cpu"
FILES = (
    f"{TARGET}/manifest.json",
    f"{TARGET}/verify.json",
    f"{TARGET}/latency.json",
    f"{TARGET}/image/image.json",
    "run.json",
)


def prepare(made: Path) -> None:
    """See `readers`."""
    from edgepack.report.html import to_html
    from edgepack.runner.sessions import open_session

    made_report = report.collect(made / "run")
    to_html(made_report)
    for path in sorted((made / "run" / TARGET).glob("model.*")):
        with open_session({".tflite": "litert"}.get(path.suffix, "onnxruntime"), path):
            pass


def seeds(made: Path) -> list[bytes]:
    """See `readers`."""
    run = made / "run"
    found = {name: json.loads((run / name).read_text()) for name in FILES if (run / name).exists()}
    image = {"schema": "edgepack.image/1", "status": "context only", "reason": "r", "tag": "t:1", "command": "c"}
    table = {**found, f"{TARGET}/image/image.json": image}
    manifest = dict(found[FILES[0]])
    manifest["columns"] = [
        {"name": "a", "type": "number", "vocabulary": [], "unknown": 0, "missing": 0},
        {"name": "b", "type": "category", "vocabulary": ["x", "y"], "unknown": 2, "missing": 3},
    ]
    wholes = ({"whole": True, **found}, {"whole": True, **table}, {**table, FILES[0]: manifest, "whole": True})
    return [*(json.dumps(whole).encode() for whole in wholes), (run / FILES[0]).read_bytes()]


def mutate(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    """See `readers`: mostly values of one of the documents, else bytes."""
    try:
        document = json.loads(content)
        if rng.random() < 0.1 or not isinstance(document, dict):
            return flip(content)
        names = [name for name in FILES if name in document]
        if not names or rng.random() < 0.05:
            return json.dumps(mutate_json(document, rng)).encode()
        name = FILES[0] if FILES[0] in names and rng.random() < 0.6 else rng.choice(names)
        return json.dumps({**document, name: mutate_json(document[name], rng)}).encode()
    except (ValueError, RecursionError):
        return flip(content)


def _unpack(content: bytes, made: Path, run: Path) -> Path:
    """Put the files of an input into the copy of a run's folder, everything else as it was made."""
    if not run.exists():
        shutil.copytree(made / "run", run, ignore=shutil.ignore_patterns("cache", "logs", "tensorboard", ".lock"))
    folder = run / TARGET
    shutil.rmtree(folder / "image", ignore_errors=True)
    for name in FILES:
        (run / name).unlink(missing_ok=True)
        if (made / "run" / name).exists():
            shutil.copyfile(made / "run" / name, run / name)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not set(document) & set(FILES):
        (folder / "manifest.json").write_bytes(content)
        return folder
    for name in FILES:
        if name in document:
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text(json.dumps(document[name]))
    if document.get("whole"):
        _put_right(folder)
    return folder


def _put_right(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest: Any = json.loads(path.read_text())
    if not isinstance(manifest, dict):
        return
    if isinstance(manifest.get("files"), dict):
        for file in folder.rglob("*"):
            if file.is_file() and file != path:
                manifest["files"][str(file.relative_to(folder))] = file_digest(file)
    manifest.pop("parts", None)
    path.write_text(json.dumps(manifest))


def parts(path: Path, made: Path, work: Path) -> Iterator[Part]:
    """See `readers`."""
    folder = _unpack(path.read_bytes(), made, work / "run")
    yield Part("verify", lambda: _verify(folder))
    yield Part("runner", lambda: _runner(folder))
    yield Part("predict", lambda: _predict(folder, work))
    yield Part("image", lambda: _image(folder))
    yield Part("bench --on docker", lambda: images_of_bundles.image_of(folder))
    yield Part("latency", lambda: latency.read(folder))
    yield Part("report", lambda: _report(folder.parent))


def _verify(folder: Path) -> None:
    bundle.require(folder)
    manifest = bundle.read_manifest(folder)
    bundle.changed_files(folder, manifest)
    gates = checks.read_gates(folder)
    "\n".join(checks._figure(gate[key]) for gate in gates for key in ("value", "limit"))


def _runner(folder: Path) -> None:
    entries = runner_bundle.read(folder)
    for number, entry in enumerate(entries[:8]):
        runner_bundle.altered(entry)
        json.dumps(entry.job())
        if number == 0 and entry.golden is not None and entry.threads <= 4:
            verify.work(entry.job(), 0.0)


def _predict(folder: Path, work: Path) -> None:
    (work / "rows.csv").write_text("a,b\n1,x\n,q\n")
    for entry in runner_bundle.read(folder)[:1]:
        runner_bundle.table(folder)
        if entry.columns:
            columns.read_csv(work / "rows.csv", entry.columns, runner_bundle.table(folder)[1])


def _image(folder: Path) -> None:
    manifest = bundle.read_manifest(folder)
    target = bundle.target_of(folder, manifest)
    context.render(target.image.family, target.image.base[-1], imaging.labels(manifest))
    list(layers.model_entries(folder))
    layers.session_needs(target.runtimes)
    imaging._model_files(manifest)
    imaging.read(folder)


def _report(run: Path) -> None:
    from edgepack.report.html import to_html

    made = report.collect(run)
    report.next_commands(made)
    forms = [to_json(made), to_markdown(made)]
    if zlib.crc32(forms[0].encode()) % DRAWN == 0:
        forms.append(to_html(made))
    for form in forms:
        form.encode()


def command(path: Path, made: Path, work: Path) -> list[str]:
    """See `readers`."""
    return ["verify", str(_unpack(path.read_bytes(), made, work / "run"))]
