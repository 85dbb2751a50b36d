"""Is what an app takes from a bundle the verified model, and can it be fed with nothing but what is in the zip?"""

import hashlib
import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from ai_edge_litert.interpreter import Interpreter
from support import read_json
from tree_sitter import Language, Node, Parser

from edgepack import bundle, delivery, target
from edgepack.checks import check_bundle
from edgepack.mobile import package

GRAMMARS = {".kt": tree_sitter_kotlin, ".swift": tree_sitter_swift}


@pytest.fixture(scope="module")
def zips(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Contents of the zip file of each .tflite file of the demo, by precision."""
    manifest = bundle.read_manifest(digits_bundle)
    found = {}
    for artifact in manifest["artifacts"]:
        if artifact["format"] == "tflite":
            path = tmp_path_factory.mktemp("zip") / "app.zip"
            package.pack(path, "app", package.contents(digits_bundle, manifest, artifact))
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
                found[artifact["precision"]] = {
                    name.removeprefix("app/"): archive.read(name) for name in archive.namelist()
                }
    assert set(found) == {"float32", "int8"}
    return found


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_checksums_are_those_of_everything_in_it(zips: dict[str, dict[str, bytes]], precision: str) -> None:
    files = dict(zips[precision])
    lines = files.pop("SHA256SUMS").decode().splitlines()
    assert lines == [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_model_answers_its_golden_sample(
    zips: dict[str, dict[str, bytes]], digits_bundle: Path, precision: str
) -> None:
    files = zips[precision]
    told = json.loads(files["model.json"])
    content = files[told["file"]]
    assert hashlib.sha256(content).hexdigest() == told["sha256"] == _artifact(digits_bundle, told["file"])["sha256"]
    interpreter = Interpreter(model_content=content, num_threads=told["threads"])
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    for spec, real in ((told["inputs"][0], given), (told["outputs"][0], answer)):
        assert (spec["shape"], spec["dtype"]) == (real["shape"].tolist(), np.dtype(real["dtype"]).name)
    sample = np.frombuffer(files["golden_input.bin"], told["inputs"][0]["dtype"]).reshape(given["shape"])
    interpreter.set_tensor(given["index"], sample)
    interpreter.invoke()
    expected = np.frombuffer(files["golden_output.bin"], told["outputs"][0]["dtype"])
    np.testing.assert_array_equal(interpreter.get_tensor(answer["index"]).ravel(), expected)
    assert files["labels.txt"].decode().splitlines() == told["labels"]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("ending", GRAMMARS)
def test_code_has_no_error_of_grammar_and_the_models_own_numbers(
    zips: dict[str, dict[str, bytes]], precision: str, ending: str
) -> None:
    (name,) = (name for name in zips[precision] if name.endswith(ending))
    assert name == f"Digits{precision.capitalize()}{ending}"
    source = zips[precision][name]
    tree = Parser(Language(GRAMMARS[ending].language())).parse(source)
    assert list(_errors(tree.root_node)) == []
    told = json.loads(zips[precision]["model.json"])
    text = source.decode()
    sizes = {
        re.sub("_", "", key).lower(): int(value)
        for key, value in re.findall(r"(INPUT_?SIZE|OUTPUT_?SIZE) = (\d+)", text, re.I)
    }
    assert sizes == {
        "inputsize": np.prod(told["inputs"][0]["shape"]),
        "outputsize": np.prod(told["outputs"][0]["shape"]),
    }
    numbers = {float(number) for number in re.findall(r"\d+\.\d+(?:e-?\d+)?", text)}
    assert told["preprocessing"]["scale"] in numbers
    if precision == "int8":
        for spec in (told["inputs"][0], told["outputs"][0]):
            assert any(np.float32(number) == np.float32(spec["scale"]) for number in numbers)
        assert "- 128).coerceIn(-128, 127)" in text or "- 128\n" in text
    assert '"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"' in text


def test_a_wrong_word_would_be_an_error_of_grammar(zips: dict[str, dict[str, bytes]]) -> None:
    for ending, grammar in GRAMMARS.items():
        (source,) = (text for name, text in zips["int8"].items() if name.endswith(ending))
        tree = Parser(Language(grammar.language())).parse(source.replace(b"return ", b"return ) ", 1))
        assert list(_errors(tree.root_node))


def test_a_mobile_target_gets_them_once_and_the_bundle_stays_whole(bundle_copy: Path) -> None:
    phone = target.load("android-arm64")
    assert phone.image is not None and phone.image.family == package.FAMILY
    assert package.make(bundle_copy, progress=lambda event: None) is False
    first = {path.name: path.read_bytes() for path in (bundle_copy / "mobile").iterdir()}
    assert set(first) == {"digits_float32.zip", "digits_int8.zip", "mobile.json"}
    assert package.make(bundle_copy, progress=lambda event: None) is True
    assert package.make(bundle_copy, progress=lambda event: None, force=True) is False
    assert {path.name: path.read_bytes() for path in (bundle_copy / "mobile").iterdir()} == first
    bundle.seal(bundle_copy)
    assert check_bundle(bundle_copy)["files"] == len(bundle.read_manifest(bundle_copy)["files"])
    packages = read_json(bundle_copy / "mobile" / "mobile.json")["packages"]
    assert [item["file"] for item in packages] == ["digits_float32.zip", "digits_int8.zip"]


def test_the_stage_that_packages_makes_them(bundle_copy: Path) -> None:
    phone = target.load("android-arm64")
    plan: Any = SimpleNamespace(
        run_folder=bundle_copy.parent, base_image="edgepack/base:bookworm", forced=lambda _: False
    )
    for expected in (False, True):
        cached, problems = delivery._package(plan, phone, bundle_copy, {}, lambda event: None)
        assert (cached, problems) == (expected, [])
    assert (bundle_copy / "mobile" / "digits_int8.zip").is_file()


def _artifact(folder: Path, file: str) -> Any:
    (artifact,) = (item for item in read_json(folder / "manifest.json")["artifacts"] if item["file"] == file)
    return artifact


def _errors(node: Node) -> Any:
    if node.type == "ERROR" or node.is_missing:
        yield node.start_point, node.text
    for child in node.children:
        yield from _errors(child)
