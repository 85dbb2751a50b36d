"""How do the Markdown pages become a site, with a reference out of the schemas and the command line?

``python docs/site/build.py OUT`` copies every page with what it links to, writes the reference, and has Sphinx make the
site; warnings are errors. Pages stay plain Markdown: which page is where in the site is read off the tables of
``docs/README.md``.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import reference
from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parents[2]
INDEX = Path("docs/README.md")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "targets/README.md", "examples/*/README.md")
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
START = '<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={page}"><a href="{page}">edgepack</a>\n'


def build(out: Path) -> int:
    """Make the site; returns Sphinx' exit code, which is not 0 after a warning."""
    with tempfile.TemporaryDirectory(prefix="edgepack-site-") as folder:
        staged = Path(folder) / "pages"
        stage(staged)
        words = ["-b", "html", "-W", "--keep-going", "-q", "-c", str(Path(__file__).parent)]
        code = build_main([*words, "-d", str(Path(folder) / "doctrees"), str(staged), str(out)])
    (out / "index.html").write_text(START.format(page=INDEX.with_suffix(".html")))
    return int(code)


def stage(folder: Path) -> None:
    """Lay out all pages, what they link to, and the reference."""
    pages = sorted(page.relative_to(ROOT) for pattern in PAGES for page in ROOT.glob(pattern))
    for page in pages:
        _copy(page, folder)
        for linked in _linked(page):
            if linked.suffix != ".md" and (ROOT / linked).is_file():
                _copy(linked, folder)
    for name, text in reference.pages().items():
        place = folder / "docs" / "reference" / f"{name}.md"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    index = folder / INDEX
    index.write_text(index.read_text() + "\n" + "\n".join(_trees(index.read_text())))
    decisions = Path("docs/decisions/README.md")
    text = (folder / decisions).read_text()
    (folder / decisions).write_text(f"{text}\n{_tree('', _links(text, decisions))}")


def _trees(text: str) -> Iterator[str]:
    """The navigation: a group for each section of the index with the pages that it links to, then the reference."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        yield _tree(title, _links(section, INDEX))
    yield _tree("Reference, generated", [f"/docs/reference/{name}" for name in reference.pages()])


def _links(text: str, page: Path) -> list[str]:
    """The pages that a text links to, each once, from the root of the site."""
    found = (_resolved(page, link) for link, _ in LINK.findall(text))
    return list(dict.fromkeys(f"/{link.with_suffix('')}" for link in found if link.suffix == ".md"))


def _tree(caption: str, pages: list[str]) -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["```{toctree}", *options, "", *pages, "```", ""])


def _linked(page: Path) -> Iterator[Path]:
    for link, _ in LINK.findall((ROOT / page).read_text()):
        if not re.match(r"[a-z][a-z0-9+.-]*:", link):
            yield _resolved(page, link)


def _resolved(page: Path, link: str) -> Path:
    return (ROOT / page.parent / link).resolve().relative_to(ROOT)


def _copy(path: Path, folder: Path) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / path, folder / path)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
