"""Does a browser really show the page's picture, without an error, on a phone and a desktop, light and dark?"""

import importlib.util
import json
import os
import re
import shutil
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgepack import proc
from edgepack.report import rows, write
from edgepack.report.schema import Report

WIDTHS = (390, 1280)
PROBE = """<!DOCTYPE html><title>probe</title><body style="margin:0">
%s
<pre id="measured"></pre>
<script>
addEventListener("load", () => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; };
  const pages = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument;
    return {
      width: frame.clientWidth,
      overflow: page.documentElement.scrollWidth - frame.clientWidth,
      charts: [...page.querySelectorAll("svg.chart")].map(box),
      points: [...page.querySelectorAll("#picture .point")].map(box),
      texts: [...page.querySelectorAll("svg.chart text")].map(e => e.getBoundingClientRect().height),
    };
  });
  document.getElementById("measured").textContent = JSON.stringify(pages);
});
</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    """The browser, or a skip that says so; EDGEPACK_REQUIRE_CHROMIUM=1 makes it a failure."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        sentence = "Chromium is not installed, so the page is not looked at (Debian: apt-get install chromium)"
        if os.environ.get("EDGEPACK_REQUIRE_CHROMIUM") == "1":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return path


@pytest.fixture(scope="module")
def runs() -> ModuleType:
    """The module of the unit tests that writes run folders."""
    path = Path(__file__).parents[1] / "unit" / "report" / "runs.py"
    spec = importlib.util.spec_from_file_location("report_runs_for_html", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for three targets with its report."""
    run: Path = runs.write_run(tmp_path_factory.mktemp("html"), limit=0.004)
    runs.add_emulated(run)
    runs.add_unbuilt(run)
    write(run)
    return run


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    """The same report as data."""
    return write(folder)


def browse(chromium: str, page: Path, *flags: str) -> proc.Completed:
    """Open a page in a headless browser with a profile of its own and the console's messages on stderr."""
    done = proc.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=5000",
            f"--user-data-dir={page.parent / 'profile'}",
            *flags,
            page.as_uri(),
        ],
        timeout_s=90,
    )
    assert done.returncode == 0, done.tail()
    return done


def console_messages(done: proc.Completed) -> list[str]:
    """What the page wrote to the browser's console."""
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def test_no_console_message(chromium: str, folder: Path, tmp_path: Path) -> None:
    page = Path(shutil.copy(folder / "report.html", tmp_path))
    done = browse(chromium, page, "--dump-dom")
    assert "Ship model.float32.tflite in LiteRT" in done.stdout
    assert console_messages(done) == []
    # The same look at a page that does complain, so that silence above means something.
    page.write_text(page.read_text().replace("</main>", "<script>console.error('planted')</script></main>"))
    assert "planted" in "".join(console_messages(browse(chromium, page, "--dump-dom")))


def test_picture_is_visible_and_nothing_overflows(chromium: str, folder: Path, report: Report, tmp_path: Path) -> None:
    shutil.copy(folder / "report.html", tmp_path)
    frames = "".join(
        f'<iframe src="report.html" style="border:0;width:{width}px;height:9000px"></iframe>' for width in WIDTHS
    )
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE % frames)
    dom = browse(chromium, probe, "--dump-dom").stdout
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found is not None, dom[-2000:]
    pages: list[dict[str, Any]] = json.loads(unescape(found.group(1)))
    assert [page["width"] for page in pages] == list(WIDTHS)
    for page in pages:
        assert page["overflow"] <= 0, f"the page is wider than {page['width']} px"
        assert len(page["points"]) == len(rows(report))
        for left, _, width, height in page["points"]:
            assert width >= 4
            assert height >= 4
            assert left >= 0
            assert left + width <= page["width"]
        assert len(page["charts"]) == 3 + 2 + 3
        for left, _, width, height in page["charts"]:
            assert width >= 300
            assert height >= 100
            assert left >= 0
            assert left + width <= page["width"]
        # Text that cannot be read on a phone is no text.
        assert min(page["texts"]) >= 10


@pytest.mark.parametrize(
    ("scheme", "page_colour", "point_colour"),
    [("1", (255, 255, 255), (10, 111, 179)), ("0", (18, 20, 23), (93, 178, 240))],
    ids=["light", "dark"],
)
def test_screenshot_shows_the_points_in_light_and_dark(
    chromium: str,
    folder: Path,
    tmp_path: Path,
    scheme: str,
    page_colour: tuple[int, int, int],
    point_colour: tuple[int, int, int],
) -> None:
    from PIL import Image

    page = Path(shutil.copy(folder / "report.html", tmp_path))
    shot = tmp_path / "shot.png"
    browse(
        chromium,
        page,
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1280,3000",
        f"--screenshot={shot}",
    )
    with Image.open(shot) as opened:
        image = opened.convert("RGB")
    assert image.getpixel((2, 2)) == page_colour
    colours = image.getcolors(maxcolors=2**24) or []
    # Points are drawn with an opacity of 0.9 over the page, so their colour is near, not equal.
    near = sum(
        number
        for number, colour in colours
        if isinstance(colour, tuple) and all(abs(a - b) < 30 for a, b in zip(colour, point_colour, strict=True))
    )
    assert near > 500
