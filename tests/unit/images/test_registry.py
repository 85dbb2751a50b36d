"""Are names in registries read as the engine reads them, and passwords in them never repeated?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import RecipeError
from edgepack.images import registry


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("localhost/digits", "localhost/digits", "given"),
        ("127.0.0.1:5000/team/digits:1.0", "127.0.0.1:5000/team/digits", "1.0"),
        ("registry.example.com/a__b/c-d.e:V_1", "registry.example.com/a__b/c-d.e", "V_1"),
    ],
)
def test_a_name_is_host_path_and_tag(reference: str, repository: str, tag: str) -> None:
    name = registry.parse(reference, "given")
    assert (name.repository, name.tag) == (repository, tag)


@pytest.mark.parametrize(
    "reference",
    [
        "digits",
        "team/digits:1.0",
        "registry.example.com",
        "registry.example.com/",
        "registry.example.com/Digits",
        "registry.example.com/digits:",
        "registry.example.com/digits@sha256:0",
        "https://registry.example.com/digits",
        "user:s3cret@registry.example.com/digits",
        "--all registry.example.com/digits",
    ],
)
def test_another_form_is_refused_without_repeating_it(reference: str) -> None:
    with pytest.raises(RecipeError, match="expected REGISTRY/NAME") as caught:
        registry.parse(reference, "latest")
    assert "s3cret" not in str(caught.value)


@given(st.text())
def test_whatever_is_taken_has_a_host_and_no_credentials(reference: str) -> None:
    try:
        name = registry.parse(f"registry.example.com/{reference}", "latest")
    except RecipeError:
        return
    assert str(name).startswith("registry.example.com/") and not set(str(name)) & set("@ \\\n\t\"'")
