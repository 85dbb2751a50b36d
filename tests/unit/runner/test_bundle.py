from pathlib import Path

import numpy as np
import pytest

from edgepack.runner import bundle as bundles
from edgepack.runner.columns import MISSING
from edgepack.runner.errors import UsageError

from .conftest import edit, save_golden


def test_each_artifact_is_listed_with_each_runtime(bundle: Path) -> None:
    edit(bundle, lambda m: m["artifacts"][0]["runtimes"].append("onnxruntime_gpu"))
    listed = [(entry.name, entry.runtime, entry.threads) for entry in bundles.read(bundle)]
    assert listed == [
        ("model.float32.onnx", "onnxruntime", 1),
        ("model.float32.onnx", "onnxruntime_gpu", 1),
        ("model.int8.onnx", "onnxruntime", 1),
    ]


def test_what_is_asked_for_narrows_the_list(bundle: Path) -> None:
    (entry,) = bundles.read(bundle, artifacts=["model.int8.onnx"], runtime="onnxruntime", threads=2)
    assert (entry.name, entry.threads) == ("model.int8.onnx", 2)
    with pytest.raises(UsageError, match=r"'model.int9.onnx'; expected one of: model.float32.onnx, model.int8.onnx"):
        bundles.read(bundle, artifacts=["model.int9.onnx"])
    with pytest.raises(UsageError, match="no file for runtime 'litert'"):
        bundles.read(bundle, runtime="litert")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a bundle: a folder with manifest.json"):
        bundles.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "schema None"),
        (
            '{"schema": "edgepack.manifest/99"}',
            "schema 'edgepack.manifest/99'; expected 'edgepack.manifest/1'",
        ),
        ('{"schema": "edgepack.manifest/1"}', "not a manifest"),
        ('{"schema": "edgepack.manifest/1", "artifacts": [3]}', "not a manifest"),
        ('{"schema": "edgepack.manifest/1", "artifacts": []}', "nothing to do"),
        (
            (
                '{"schema": "edgepack.manifest/1", "artifacts": '
                '[{"file": "../../etc/passwd", "sha256": "0", "runtimes": ["litert"]}]}'
            ),
            "not a plain file name",
        ),
    ],
)
def test_a_broken_manifest_says_what_is_wrong(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UsageError, match=reason):
        bundles.read(tmp_path)


def test_one_altered_byte_is_found_and_the_file_named(bundle: Path) -> None:
    first, second = bundles.read(bundle)
    assert bundles.altered(first) is None
    content = bytearray(first.path.read_bytes())
    content[len(content) // 2] ^= 1
    first.path.write_bytes(content)
    reason = bundles.altered(first)
    assert reason is not None
    assert reason.startswith("model.float32.onnx is not the file that was packed")
    assert bundles.altered(second) is None


def test_swapped_golden_samples_are_found(bundle: Path) -> None:
    before = (bundle / "manifest.json").read_text()
    save_golden(bundle, {"input": np.zeros((6, 4), np.float32)})
    (bundle / "manifest.json").write_text(before)
    for entry in bundles.read(bundle):
        assert "golden.npz is not the file that was packed" in (bundles.altered(entry) or "")


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "model.int8.onnx").unlink()
    assert bundles.altered(bundles.read(bundle)[1]) == "model.int8.onnx is missing from the bundle"


def test_golden_files_are_read_without_running_code_in_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "golden.npz", input=np.array([object()], dtype=object))
    with pytest.raises(UsageError, match="cannot be read as golden samples"):
        bundles.golden_array(tmp_path / "golden.npz", "input")
    (tmp_path / "golden.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UsageError, match="cannot be read as golden samples"):
        bundles.golden_array(tmp_path / "golden.npz", "input")


def test_a_bare_file_needs_a_runtime_of_its_format(float_model: Path) -> None:
    assert bundles.bare(float_model).runtime == "onnxruntime"
    with pytest.raises(UsageError, match=r"expected a .tflite file"):
        bundles.bare(float_model, runtime="litert")


@pytest.mark.parametrize(
    "change",
    [
        {"columns": [1]},
        {"columns": [{"name": "a", "type": "category", "vocabulary": None, "unknown": 0, "missing": 1}]},
        {"columns": [{"name": "a", "type": "category", "vocabulary": ["x"], "unknown": None, "missing": 1}]},
        {"columns": [{"type": "number"}]},
        {"threads": "many"},
        {"threads": 1e400},
        {"golden": {"file": "a\0b"}},
        {"golden": {"file": 300 * "a"}},
    ],
)
def test_values_of_another_kind_are_called_no_manifest(bundle: Path, change: dict[str, object]) -> None:
    edit(bundle, lambda manifest: manifest.update(change))
    with pytest.raises(UsageError, match="is not a manifest"):
        bundles.read(bundle)


@pytest.mark.parametrize("tolerance", [3, [1], "ab", {"max_abs": "much"}, {"top1": []}])
def test_so_is_a_tolerance_that_is_none(bundle: Path, tolerance: object) -> None:
    edit(bundle, lambda manifest: manifest["artifacts"][0].update({"tolerance": tolerance}))
    with pytest.raises(UsageError, match="is not a manifest"):
        bundles.read(bundle)


@pytest.mark.parametrize("change", [{"labels": 3}, {"labels": [3]}, {"recipe": {"data": {"missing": "na"}}}])
def test_labels_and_missing_texts_are_texts(bundle: Path, change: dict[str, object]) -> None:
    edit(bundle, lambda manifest: manifest.update(change))
    with pytest.raises(UsageError, match="must be lists of texts"):
        bundles.table(bundle)


@pytest.mark.parametrize("recipe", [None, 3, "text", [], {"data": "x"}])
def test_a_manifest_that_tells_no_recipe_has_the_usual_missing_texts(bundle: Path, recipe: object) -> None:
    edit(bundle, lambda manifest: manifest.update({"recipe": recipe}))
    assert bundles.table(bundle) == ([], MISSING)
