"""Does the documentation leave out nothing that there is: no technique, target, format, runtime, transport, figure?"""

import re
from pathlib import Path

import pytest

from edgepack import extensions
from edgepack import target as targets

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "techniques": extensions.names("edgepack.techniques"),
    "formats": extensions.names("edgepack.formats"),
    "runtimes": extensions.names("edgepack.runner.sessions"),
    "transports": extensions.names("edgepack.transports"),
    "targets": tuple(targets.shipped()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_its_how_to(kind: str) -> None:
    text = (ROOT / "docs" / "how-to" / f"{kind}.md").read_text()
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert KINDS[kind]
    assert [name for name in KINDS[kind] if "```" not in sections.get(name, "")] == []


def test_each_page_of_how_tos_is_of_a_kind_that_is_looked_at() -> None:
    assert {path.stem for path in (ROOT / "docs" / "how-to").glob("*.md")} == set(KINDS)


def test_each_benchmark_is_among_the_results() -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    programs = [path for path in (ROOT / "benchmarks").glob("*.py") if _measures(path.read_text())]
    assert len(programs) > 8
    assert [path.name for path in programs if f"benchmarks/{path.name}" not in text] == []


def _measures(source: str) -> bool:
    """Whether a program writes figures; others are what is measured."""
    return '__name__ == "__main__"' in source and ".json" in source
