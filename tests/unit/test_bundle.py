"""Is a bundle put into place at once, and is every change of it named?"""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack import bundle
from edgepack.errors import MissingError, RecipeError, VerificationError
from edgepack.store import file_digest


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "made"
    folder.mkdir()
    for name in ("model.int8.tflite", "golden.npz"):
        (folder / name).write_text(f"content of {name}")
    return {path.name: path for path in folder.iterdir()}


def manifest_of(sources: dict[str, Path]) -> dict[str, Any]:
    model = "model.int8.tflite"
    return {
        "schema": bundle.MANIFEST_SCHEMA,
        "name": "digits",
        "target": "board",
        "platform": "linux/amd64",
        "threads": 2,
        "artifacts": [{"file": model, "sha256": file_digest(sources[model])}],
        "golden": {"file": "golden.npz", "samples": 8},
    }


def publish(folder: Path, sources: dict[str, Path], **changed: Any) -> bool:
    manifest = {**manifest_of(sources), **changed}
    return bundle.publish(folder, files=sources, documents={"verify.json": {"a": 1}}, manifest=manifest)


@pytest.fixture
def folder(tmp_path: Path, sources: dict[str, Path]) -> Path:
    target = tmp_path / "out" / "board"
    assert publish(target, sources)
    return target


def changes(folder: Path) -> list[str]:
    return bundle.changed_files(folder, bundle.read_manifest(folder))


def test_a_published_bundle_is_whole(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "golden.npz",
        "manifest.json",
        "model.int8.tflite",
        "verify.json",
    }
    assert changes(folder) == []
    assert bundle.is_bundle(folder)
    assert bundle.require(folder) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["board"]


def test_publishing_the_same_again_leaves_what_later_stages_added(folder: Path, sources: dict[str, Path]) -> None:
    (folder / "latency.json").write_text("{}")
    bundle.seal(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert not publish(folder, sources)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert changes(folder) == []


@pytest.mark.parametrize("what", ["file", "manifest", "damage"])
def test_publishing_something_else_replaces_all_of_it(folder: Path, sources: dict[str, Path], what: str) -> None:
    (folder / "latency.json").write_text("{}")
    bundle.seal(folder)
    changed: dict[str, Any] = {}
    if what == "file":
        sources["golden.npz"].write_text("other samples")
    elif what == "manifest":
        changed["threads"] = 3
    else:
        (folder / "golden.npz").write_text("damaged")
    assert publish(folder, sources, **changed)
    assert not (folder / "latency.json").exists()
    assert changes(folder) == []
    assert [path.name for path in folder.parent.iterdir()] == ["board"]


def test_a_source_that_is_gone_leaves_the_old_bundle(folder: Path, sources: dict[str, Path]) -> None:
    before = (folder / "manifest.json").read_text()
    with pytest.raises(FileNotFoundError):
        publish(folder, {**sources, "model.float32.onnx": Path("gone")})
    assert (folder / "manifest.json").read_text() == before
    assert changes(folder) == []


def test_sealing_lists_what_was_added(folder: Path) -> None:
    (folder / "image").mkdir()
    (folder / "image" / "Dockerfile").write_text("FROM scratch\n")
    assert changes(folder) == ["image/Dockerfile is not in the manifest"]
    bundle.seal(folder)
    assert changes(folder) == []
    assert "image/Dockerfile" in bundle.read_manifest(folder)["files"]
    before = (folder / "manifest.json").stat().st_mtime_ns
    bundle.seal(folder)
    assert (folder / "manifest.json").stat().st_mtime_ns == before


def test_every_change_is_named(folder: Path) -> None:
    content = bytearray((folder / "model.int8.tflite").read_bytes())
    content[3] ^= 1
    (folder / "model.int8.tflite").write_bytes(content)
    (folder / "golden.npz").unlink()
    (folder / "extra").write_text("")
    assert changes(folder) == [
        "golden.npz is missing",
        "model.int8.tflite was altered: its sha256 is not the manifest's",
        "extra is not in the manifest",
    ]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "image/../../secret"])
def test_a_manifest_that_points_outside_is_not_followed(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("s")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = file_digest(folder.parent / "secret")
    path.write_text(json.dumps(manifest))
    assert changes(folder) == [
        f"{name}: the manifest names a file outside the bundle",
        "manifest.json was edited: 'files'",
    ]


def test_two_digests_of_one_file_are_noticed(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    assert changes(folder) == [
        "manifest.json: model.int8.tflite has two different sha256",
        "manifest.json was edited: 'artifacts'",
    ]


@pytest.mark.parametrize("edit", ["changed", "removed", "added"])
def test_an_edited_manifest_says_which_part(folder: Path, edit: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    if edit == "removed":
        del manifest["threads"]
    else:
        manifest["threads" if edit == "changed" else "comment"] = 7
    path.write_text(json.dumps(manifest))
    key = "comment" if edit == "added" else "threads"
    assert changes(folder) == [f"manifest.json was edited: {key!r}"]
    (folder / "latency.json").write_text("{}")
    bundle.seal(folder)  # what a later stage adds does not make the edit good
    assert changes(folder) == [f"manifest.json was edited: {key!r}"]


def test_a_manifest_of_before_there_were_digests_is_taken_as_it_is(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["parts"]
    path.write_text(json.dumps(manifest))
    assert changes(folder) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[]", "has the schema 'list'"),
        ('{"schema": "edgepack.manifest/9"}', "has the schema 'edgepack.manifest/9'; expected 'edgepack.manifest/1'"),
        ('{"schema": "edgepack.manifest/1", "name": "x"}', "is damaged: target, artifacts, files, golden, platform"),
        (100_000 * "[", "is damaged"),
    ],
)
def test_a_damaged_manifest_is_explained(folder: Path, text: str, message: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(VerificationError, match=message):
        bundle.read_manifest(folder)


def test_a_run_folder_is_told_from_a_bundle(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"expected one of: {folder}"):
        bundle.require(folder.parent)
    for path in (tmp_path / "absent", tmp_path / "made"):
        with pytest.raises(MissingError, match="is no bundle"):
            bundle.require(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"artifacts": ["model.int8.tflite"]}, "artifacts has the wrong form"),
        ({"artifacts": [{"file": 1, "sha256": "0"}]}, "artifacts has the wrong form"),
        ({"golden": {"file": None}, "name": 3}, "name and golden have the wrong form"),
        ({"files": {"golden.npz": 1}}, "files has the wrong form"),
    ],
)
def test_a_manifest_of_another_form_is_damaged(folder: Path, changed: dict[str, Any], message: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(VerificationError, match=message):
        bundle.read_manifest(folder)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\0b", "\ud800", 300 * "a", "a/" * 50 + "b", ""])
def test_a_name_that_is_no_file_of_the_bundle_is_named(folder: Path, name: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "files": {**manifest["files"], name: "0"}}))
    assert f"{name}: the manifest names a file outside the bundle" in changes(folder)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "says nothing of its recipe or its target"),
        ({"recipe_sha256": "0"}, "says nothing of its recipe or its target"),
        ({"recipe_sha256": "0", "target_spec": {"platform": "toaster"}}, "describes no target: description"),
        ({"recipe_sha256": "0", "target_spec": None}, "describes no target"),
    ],
)
def test_a_manifest_without_a_target_says_so(folder: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        bundle.target_of(folder, {**bundle.read_manifest(folder), **changed})
