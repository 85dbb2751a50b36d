"""Is what a base image says of its packages read right, and is nonsense refused?"""

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import MissingError
from edgepack.images import facts

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u13
Description: GNU C Library
 Version: of the description, not of the package
 .
 more

Package: removed
Status: deinstall ok config-files
Version: 1

Package: tzdata
Version: 2026a-0+deb12u1
"""


def record(label: object) -> dict[str, Any]:
    return {"Id": "sha256:0", "Config": {"Labels": {facts.PROVIDES: label}}}


def test_a_list_of_packages_is_read_with_sources_and_without_what_was_removed() -> None:
    assert facts.parse_status(STATUS) == (
        facts.DebianPackage("libc6", "2.36-9+deb12u13", "amd64", "glibc"),
        facts.DebianPackage("tzdata", "2026a-0+deb12u1", "all", "tzdata"),
    )


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    for package in facts.parse_status(text):
        assert package.name and package.version


NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True)


@given(st.dictionaries(NAMES, VERSIONS, max_size=5))
def test_a_label_gives_back_what_was_written_into_it(packages: dict[str, str]) -> None:
    label = "  ".join(f"{name}=={version}" for name, version in packages.items())
    assert dict(facts.provided(record(label), "base")) == packages


@pytest.mark.parametrize("config", [None, {}, {"Labels": None}, {"Labels": {"other": "numpy"}}])
def test_an_image_without_the_label_provides_nothing(config: object) -> None:
    assert facts.provided({"Id": "sha256:0", "Config": config}, "base") == ()


@pytest.mark.parametrize("label", ["numpy", "numpy>=1.24", "numpy==", "==1", "numpy==1.24.2 -r"])
def test_a_label_without_sense_is_refused_by_name(label: str) -> None:
    with pytest.raises(MissingError, match=re.escape(f"{facts.PROVIDES}={label!r}")):
        facts.provided(record(label), "some/base:1")
