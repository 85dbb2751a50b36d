"""Is the code for apps right for every kind of tensor and for names that are special in Kotlin or Swift?"""

from typing import Any

import numpy as np
import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from edgepack.errors import ConversionError
from edgepack.mobile.snippets import Facts, class_name, render

PARSERS = {
    ".kt": Parser(Language(tree_sitter_kotlin.language())),
    ".swift": Parser(Language(tree_sitter_swift.language())),
}
TYPES = ("float32", "int8", "uint8", "int16")


def facts(
    given_type: str = "int8",
    answer_type: str = "int8",
    *,
    labels: list[str] | None = None,
    shape: list[int] | None = None,
    **changed: Any,
) -> Facts:
    def tensor(dtype: str, shape: list[int]) -> dict[str, Any]:
        quantised = {"scale": 0.5, "zero_point": 3} if dtype != "float32" else {"scale": None, "zero_point": None}
        return {"name": "t", "shape": shape, "dtype": dtype, **quantised}

    names = ["yes", "no"] if labels is None else labels
    artifact = {
        "file": "model.int8.tflite",
        "precision": "int8",
        "inputs": [tensor(given_type, shape or [1, 4])],
        "outputs": [tensor(answer_type, [1, len(names)])],
        "tolerance": {"max_abs": 0.6},
    }
    manifest = {
        "name": "my-model",
        "recipe_sha256": "0" * 64,
        "threads": 2,
        "task": "classification",
        "labels": names,
        "preprocessing": {"scale": 0.25, "offset": -1.0},
        "columns": [],
        **changed,
    }
    return Facts(manifest, artifact, np.zeros((1, 4), given_type), np.zeros((1, len(names)), answer_type))


def sources(found: dict[str, str]) -> dict[str, str]:
    return {name[name.rindex(".") :]: text for name, text in found.items() if not name.endswith(".md")}


def errors(node: Node) -> list[Any]:
    own = [(node.start_point, node.text)] if node.type == "ERROR" or node.is_missing else []
    return [*own, *(error for child in node.children for error in errors(child))]


@pytest.mark.parametrize("given_type", TYPES)
@pytest.mark.parametrize("answer_type", TYPES)
def test_every_type_of_tensor_is_filled_and_read(given_type: str, answer_type: str) -> None:
    found = render(facts(given_type, answer_type))
    assert set(found) == {"MyModelInt8.kt", "MyModelInt8.swift", "LICENCES.md"}
    for ending, text in sources(found).items():
        assert errors(PARSERS[ending].parse(text.encode()).root_node) == []
        assert ("quantise(" in text) == (given_type != "float32")
        assert (("0.5f" if ending == ".kt" else "* 0.5") in text) == (
            answer_type != "float32"
        ) or given_type != "float32"
    kotlin, swift = sources(found)[".kt"], sources(found)[".swift"]
    put = {"float32": "putFloat", "int8": "put(", "uint8": "put(", "int16": "putShort"}
    assert f"input.{put[given_type]}" in kotlin
    assert (".and(0xFF)" in kotlin) == (answer_type == "uint8")
    swift_type = {"float32": "Float", "int8": "Int8", "uint8": "UInt8", "int16": "Int16"}[answer_type]
    assert f"private func invoke(_ input: Data) throws -> [{swift_type}]" in swift
    # 0.6 is more than one step of 0.5, and less than two.
    assert ("TOLERANCE = 2.0f" in kotlin) == (answer_type != "float32")


@settings(max_examples=20)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_any_label_stays_a_text(labels: list[str]) -> None:
    for ending, text in sources(render(facts(labels=labels))).items():
        assert errors(PARSERS[ending].parse(text.encode()).root_node) == []


def test_what_is_special_in_one_language_is_written_for_each() -> None:
    found = sources(render(facts(labels=['a"$b\\', "\n\x07"])))
    assert r'listOf("a\"\$b\\", "\n\u0007")' in found[".kt"]
    assert r'["a\"$b\\", "\n\u{7}"]' in found[".swift"]


def test_a_free_batch_axis_is_set_to_one() -> None:
    free = sources(render(facts(shape=[-1, 4])))
    assert "resizeInput(0, intArrayOf(1, 4))" in free[".kt"]
    assert "TfLiteInterpreterResizeInputTensor" in free[".swift"]
    assert "resizeInput" not in sources(render(facts()))[".kt"]


def test_raw_values_that_are_taken_as_they_are_are_not_scaled() -> None:
    plain = render(facts("float32", preprocessing={"scale": 1.0, "offset": 0.0}, columns=[{"name": "age"}]))
    assert "input.putFloat(value)" in plain["MyModelInt8.kt"]
    assert 'COLUMNS = listOf("age")' in plain["MyModelInt8.kt"]


def test_anomalies_have_no_labels() -> None:
    found = render(facts(task="anomaly"))
    assert "LABELS" not in found["MyModelInt8.kt"]
    assert "mean squared difference" in found["MyModelInt8.swift"]


def test_a_type_that_apps_are_not_shown_is_refused() -> None:
    with pytest.raises(
        ConversionError, match="the tensor 't' holds int64; expected one of: float32, int8, uint8, int16"
    ):
        render(facts("int64"))


@pytest.mark.parametrize(
    ("words", "name"), [(("digits", "int8"), "DigitsInt8"), (("7-up", "x"), "Model7UpX"), (("a_b.c", "D"), "ABCD")]
)
def test_class_names(words: tuple[str, ...], name: str) -> None:
    assert class_name(*words) == name
