"""Is YAML read as YAML 1.2 with the line of each key, and are its errors clear?"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from edgepack import yamlfile
from edgepack.errors import MissingError, RecipeError

TEXT = """\
# a comment
name: digits

training:
  epochs: 3           # another
  rate: 1e-3
steps:
  - use: prune
    sparsity: 0.5

  - {use: qat,
     epochs: 2}
"""


def test_content_is_plain_and_lines_are_those_of_the_file() -> None:
    document = yamlfile.parse(TEXT, source="r.yaml")
    assert document.content == {
        "name": "digits",
        "training": {"epochs": 3, "rate": 0.001},
        "steps": [{"use": "prune", "sparsity": 0.5}, {"use": "qat", "epochs": 2}],
    }
    assert document.lines == {
        ("name",): 2,
        ("training",): 4,
        ("training", "epochs"): 5,
        ("training", "rate"): 6,
        ("steps",): 7,
        ("steps", 0): 8,
        ("steps", 0, "use"): 8,
        ("steps", 0, "sparsity"): 9,
        ("steps", 1): 11,
        ("steps", 1, "use"): 11,
        ("steps", 1, "epochs"): 12,
    }


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("training", "rate"), "r.yaml:6"),
        (("training", "absent"), "r.yaml:4"),
        (("steps", 1, "epochs", "deeper"), "r.yaml:12"),
        (("absent",), "r.yaml"),
        ((), "r.yaml"),
    ],
)
def test_what_is_absent_is_placed_at_its_nearest_parent(location: tuple[str | int, ...], expected: str) -> None:
    assert yamlfile.parse(TEXT, source="r.yaml").where(location) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-2.5", -2.5),
        ("0x1F", 31),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("2024-01-31", "2024-01-31"),
        ("[1, [a, b]]", [1, ["a", "b"]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("!!str 5", "5"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    parsed = yamlfile.parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "r.yaml: expected a mapping of keys at the top level, received nothing"),
        ("- a\n- b\n", "r.yaml: expected a mapping of keys at the top level"),
        ("just text", "r.yaml: expected a mapping of keys at the top level"),
        ("a: 1\nb: [1, 2\nc: 3\n", "r.yaml:3: this is not YAML"),
        ("a: 1\n\tb: 2\n", "r.yaml:2: this is not YAML"),
        ("a: 1\na: 2\n", "r.yaml:2: this is not YAML"),
        ("1: a\n", "r.yaml: expected text as a key, received 1"),
        ("a: {2: b}\n", "r.yaml: expected text as a key, received 2"),
        ("a: *unknown\n", "r.yaml:1: this is not YAML"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2: this is not YAML"),
        ("a: " + "[" * 1000, "r.yaml: this is not YAML"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        yamlfile.parse(text, source="r.yaml")
    assert caught.value.message.startswith(expected)
    assert caught.value.fix


def test_no_tag_runs_code() -> None:
    content = yamlfile.parse("a: !!python/object/apply:os.getcwd []\n", source="r.yaml").content
    assert content == {"a": []}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no file"):
        yamlfile.read(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        yamlfile.read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(RecipeError, match="cannot be read"):
        yamlfile.read(tmp_path / "latin.yaml")
    (tmp_path / "good.yaml").write_text("a: é\n", encoding="utf-8")
    assert yamlfile.read(tmp_path / "good.yaml").content == {"a": "é"}


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"the value '\[1' is not YAML"):
        yamlfile.parse_value("[1")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False).map(lambda value: value + 0.0)
    | st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=20)
)
DOCUMENTS = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=("L",)), min_size=1, max_size=8),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=4),
        max_leaves=12,
    ),
    min_size=1,
    max_size=6,
)


def dump(content: Any) -> str:
    from io import StringIO

    stream = StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.dump(content, stream)
    return stream.getvalue()


@settings(max_examples=25)
@given(DOCUMENTS)
def test_plain_documents_come_back_as_they_were(content: dict[str, Any]) -> None:
    text = dump(content)
    document = yamlfile.parse(text, source="r.yaml")
    assert document.content == content
    for location, line in document.lines.items():
        assert line >= 1
        key = location[-1]
        assert isinstance(key, int) or key in text.splitlines()[line - 1]


@given(st.text(max_size=80))
def test_any_text_gives_a_document_or_a_clear_error(text: str) -> None:
    try:
        document = yamlfile.parse(text, source="r.yaml")
    except RecipeError as error:
        message = error.message
    else:
        message = f"r.yaml: {type(document.content).__name__}"
    assert message.startswith("r.yaml")


def laughs(levels: int) -> str:
    """A few lines of aliases that stand for 9**levels values."""
    names = [f"a{level}" for level in range(levels)]
    lines = [f"{name}: &{name} [{', '.join(9 * ['*' + before])}]" for before, name in pairwise(names)]
    return "\n".join(["a0: &a0 [x]", *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(9), "more than 100,000 values"),
        ("a: " + 60 * "[" + 60 * "]", "50 levels"),
        ("a: " + 5000 * "[", "more than 200 brackets are open"),
        ("a: 1\n" + 60_000 * "# \n", "180,005 characters; expected at most 100,000"),
        ("{{a: {b: c}}: d}", "this is not YAML: TypeError"),
        ("a: &a\n  <<: *a\n", "this is not YAML: AttributeError"),
        ("a: " + 5000 * "9", "this is not YAML: ValueError"),
        (2000 * "- ", "this is not YAML: RecursionError"),
    ],
)
def test_a_document_without_end_or_sense_is_refused_at_once(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        yamlfile.parse(text, source="r.yaml")
    assert caught.value.fix


@pytest.mark.parametrize("text", [laughs(9), 5000 * "[", "{{a: {b: c}}: d}", 5000 * "9"])
def test_so_is_such_a_value_of_the_command_line(text: str) -> None:
    with pytest.raises(RecipeError):
        yamlfile.parse_value(text)
