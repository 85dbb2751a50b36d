"""Do the lock files pin, by hash, what pyproject.toml asks for?"""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NAMES = ("requirements.lock", "requirements-test.lock")


def entries(name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of each package in a lock file, those for this version of Python."""
    text = "".join(line for line in (ROOT / name).read_text().splitlines(keepends=True) if not line.startswith("#"))
    found = {}
    for entry in re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip()):
        pin, *hashes = entry.split("--hash=")
        requirement = Requirement(pin)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        (version,) = requirement.specifier
        assert version.operator == "==", pin
        assert requirement.name not in found, f"{requirement.name} is pinned twice"
        found[requirement.name] = (version.version, [item.strip() for item in hashes])
    return found


def wanted(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with some extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("name", NAMES)
def test_every_package_has_hashes(name: str) -> None:
    found = entries(name)
    assert len(found) > 40
    for package, (_, hashes) in found.items():
        assert hashes, package
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", item) for item in hashes), package


@pytest.mark.parametrize(("name", "extras"), [(NAMES[0], ("build",)), (NAMES[1], ("build", "test", "mlflow"))])
def test_what_pyproject_asks_for_is_pinned_in_its_range(name: str, extras: tuple[str, ...]) -> None:
    found = entries(name)
    for requirement in wanted(*extras):
        if requirement.name == "edgepack":
            continue
        version, _ = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: {version}"


def test_the_test_environment_is_the_plain_one_and_more() -> None:
    plain, whole = map(entries, NAMES)
    assert plain.items() <= whole.items()
    assert "mlflow-skinny" not in plain, "an extra must not become a dependency of everyone"
