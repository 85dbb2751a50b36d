"""Is the nearest known name offered, and none when none is near?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.suggest import did_you_mean


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("epocs", "did you mean 'epochs'?"),
        ("sparsty", "did you mean 'sparsity'?"),
        ("epochs", "did you mean 'epochs'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_offered(received: str, expected: str) -> None:
    assert did_you_mean(received, ["epochs", "sparsity", "schedule"]) == expected


def test_nothing_is_offered_where_nothing_is_known() -> None:
    assert did_you_mean("epochs", []) == ""


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=20), max_size=8))
def test_only_known_names_are_offered(received: str, known: list[str]) -> None:
    assert did_you_mean(received, known) in {"", *(f"did you mean {name!r}?" for name in known)}
