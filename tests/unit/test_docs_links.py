"""Do the links between our pages lead somewhere, and is nothing in them that does not belong there?"""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".venv", "out", "node_modules"}
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part in SKIPPED or part.startswith(".") for part in page.relative_to(ROOT).parts[:-1])
)
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
JUNK = re.compile(r"^(<{7}|={7}|>{7})(\s|$)", re.MULTILINE)
# Lock files and pages name packages, never the place that they come from: any mirror serves.
INDEX_ADDRESS = re.compile(
    r"https?://\S*(?:pypi|pythonhosted|/simple\b|registry\.|artifactory|nexus|devpi)\S*|--(?:extra-)?index-url\s+\S+",
    re.IGNORECASE,
)
PAGE_PARAMETERS = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]


def test_there_are_pages() -> None:
    assert len(PAGES) > 15


@pytest.mark.parametrize("page", PAGE_PARAMETERS)
def test_relative_links_and_anchors_resolve(page: Path) -> None:
    broken = [link for link in LINK.findall(_prose(page)) if not _resolves(page, link)]
    assert not broken, f"{page.relative_to(ROOT)}: {broken}"


@pytest.mark.parametrize("page", PAGE_PARAMETERS)
def test_no_merge_marks_tabs_or_trailing_spaces(page: Path) -> None:
    text = page.read_text()
    assert not JUNK.findall(text)
    ragged = [number for number, line in enumerate(text.splitlines(), 1) if line != line.rstrip() or "\t" in line]
    assert not ragged, f"lines with tabs or trailing spaces: {ragged}"
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("page", PAGE_PARAMETERS)
def test_code_fences_are_closed_and_name_their_language(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert all(opening.strip() for opening in fences[::2]), "a fence without a language"


@pytest.mark.parametrize(
    "path",
    [*PAGES, *sorted(ROOT.glob("*.lock")), ROOT / "pyproject.toml"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_address_of_a_package_index(path: Path) -> None:
    assert not INDEX_ADDRESS.findall(path.read_text())


def test_every_decision_is_in_the_index_under_its_own_title() -> None:
    folder = ROOT / "docs" / "decisions"
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert len({path.name[:4] for path in decisions}) == len(decisions)
    index = (folder / "README.md").read_text()
    for path in decisions:
        number, title = path.read_text().splitlines()[0].removeprefix("# ").split(" ", 1)
        assert path.name.startswith(number)
        assert f"| [{number}]({path.name}) | {title} |" in index
        for heading in ("## Context", "## Decision", "## Consequence"):
            assert heading in path.read_text(), f"{path.name} has no {heading!r}"


def _resolves(page: Path, link: str) -> bool:
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or (target.suffix == ".md" and anchor in _anchors(target))


@cache
def _anchors(page: Path) -> frozenset[str]:
    """The ids that headings get: lower case, spaces to hyphens, punctuation dropped, doubles numbered."""
    found: dict[str, int] = {}
    ids = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", _prose(page, code=True), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        ids.add(f"{slug}-{count}" if count else slug)
    return frozenset(ids)


def _prose(page: Path, *, code: bool = False) -> str:
    """A page without its fenced blocks and, unless ``code``, without inline code."""
    text = FENCE.sub("", page.read_text())
    return text if code else re.sub(r"`[^`\n]*`", "", text)
