"""Is every reference that a container engine takes read, and every other one refused?"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.clusters import _image
from edgepack.errors import RecipeError

PART = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
HOST = st.from_regex(
    r"([a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?\.){1,3}[a-z]{2,5}(:[0-9]{1,5})?|localhost:[0-9]{2,5}", fullmatch=True
)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
DIGEST = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@given(st.none() | HOST, st.lists(PART, min_size=1, max_size=4), st.none() | TAG, st.none() | DIGEST)
def test_a_reference_is_read_and_written_the_same(
    host: str | None, parts: list[str], tag: str | None, digest: str | None
) -> None:
    name = "/".join([host, *parts] if host else parts)
    text = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    image = _image.parse(text, default_tag="given")
    assert (image.name, image.digest) == (name, digest)
    assert image.tag == (tag or (None if digest else "given"))
    assert image.reference == (text if tag or digest else f"{text}:given")
    if host:
        assert image.registry == host


@given(st.text(max_size=40))
def test_anything_else_is_one_error(text: str) -> None:
    try:
        image = _image.parse(text, default_tag="given")
    except RecipeError:
        return
    assert re.fullmatch(r"[\w./:@\[\]-]+", image.reference, re.ASCII)
    assert _image.parse(image.reference, default_tag="other") == image


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("digits", None),
        ("edge/digits", None),
        ("localhost/digits", "localhost"),
        ("localhost:5000/digits", "localhost:5000"),
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/edge/digits:1",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        ),
        ("[::1]:5000/digits", "[::1]:5000"),
    ],
)
def test_the_registry_is_what_engines_take_for_one(text: str, registry: str | None) -> None:
    assert _image.parse(text, default_tag="x").registry == registry


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Digits",
        "digits:",
        "digits:a b",
        "a//b",
        "-a/b",
        "digits@sha256:12",
        "digits:" + "a" * 129,
        "a/" * 128 + "b",
    ],
)
def test_what_is_wrong_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RecipeError, match="--image expected REGISTRY/NAME") as caught:
        _image.parse(text, default_tag="x")
    assert caught.value.fix == "e.g. registry.example.org/digits:1.0"
