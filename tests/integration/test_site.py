"""Is the documentation built without a warning, does every link in it lead somewhere, is its reference whole?"""

import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support import ROOT, TIMEOUT_S

from edgepack import extensions
from edgepack.cli import verbs
from edgepack.recipe import Recipe

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page links to, what it loads, and which places in it can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADS and LOADS[tag] in values:
            self.loads.append(values[LOADS[tag]])
        if tag == "link" and "stylesheet" in values.get("rel", ""):
            self.loads.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "site" / "build.py", out],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_there_and_one_begins(site: Path) -> None:
    sources = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "examples").glob("*/README.md")]
    assert [path for path in sources if not (site / path.relative_to(ROOT)).with_suffix(".html").is_file()] == []
    assert "docs/README.html" in (site / "index.html").read_text()


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = defaultdict(list)
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchored = not parts.fragment or place not in pages or unquote(parts.fragment) in pages[place].ids
            if not (place.is_file() and anchored):
                broken[str(path.relative_to(site))].append(link)
    assert checked > 1000
    assert not broken


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert not [load for page in pages.values() for load in page.loads if urlsplit(load).netloc]


def test_reference_has_every_verb_with_its_options(site: Path) -> None:
    text = (site / "docs/reference/command-line.html").read_text()
    names = {path.stem.replace("_", "-") for path in Path(verbs.__path__[0]).glob("[a-z]*.py")}
    assert {name for name in names if f'id="{name}"' not in text} == set()
    for words in ("--custom-objects", "--smoke", "Change one key, e.g. training.epochs=3."):
        assert words in text


def test_reference_has_every_key_and_every_extension(pages: dict[Path, Page], site: Path) -> None:
    recipe = (site / "docs/reference/recipe.html").read_text()
    assert [key for key in Recipe.model_fields if f">{key}</span>" not in recipe] == []
    techniques = pages[site / "docs/reference/techniques.html"].ids
    assert {name.replace("_", "-") for name in extensions.names("edgepack.techniques")} <= {
        name.replace("_", "-") for name in techniques
    }
