"""Does every recipe get a name that DNS takes, and two recipes two names?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.clusters import _names
from edgepack.errors import RecipeError

WORDS = st.text(st.characters(codec="utf-8"), max_size=70)


@given(WORDS, WORDS)
def test_names_are_labels(recipe: str, target: str) -> None:
    name = _names.label(recipe, target)
    assert _names.check(name) == name
    assert name == _names.label(recipe, target)


def test_long_names_stay_apart() -> None:
    names = {_names.label("a" * 60, f"target-{number}") for number in range(9)}
    assert len(names) == 9
    assert all(len(name) <= _names.LONGEST for name in names)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("digits", "linux-amd64-cpu"), "digits-linux-amd64-cpu"),
        (("My_Model", "a.b"), "my-model-a-b"),
        (("7", "x"), "model-7-x"),
        (("", ""), "model"),
        (("naïve",), "na-ve"),
    ],
)
def test_names(words: tuple[str, ...], name: str) -> None:
    assert _names.label(*words) == name


@pytest.mark.parametrize("name", ["", "Digits", "7up", "a-", "a_b", "a" * 41])
def test_other_names_are_refused_with_one_that_is_right(name: str) -> None:
    with pytest.raises(RecipeError, match="--name expected at most 40 small letters") as caught:
        _names.check(name)
    assert _names.check(caught.value.fix.removeprefix("e.g. --name "))
