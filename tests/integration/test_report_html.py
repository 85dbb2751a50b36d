"""Is the page right for an eye, a finger, a keyboard and a screen reader, on a phone and a desktop, light and dark?"""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgepack.report import collect, rows, write
from edgepack.report.schema import Report

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SIZES = {"phone": PHONE, "desktop": DESKTOP}
PAGE_COLOUR = {"light": (255, 255, 255), "dark": (18, 20, 23)}
POINT_COLOUR = {"light": (10, 111, 179), "dark": (93, 178, 240)}
LOOKS = [pytest.param(size, scheme, id=f"{size}-{scheme}") for size in SIZES for scheme in PAGE_COLOUR]

OPEN_ALL = "document.querySelectorAll('details').forEach(details => { details.open = true })"
CLOSE_ALL = OPEN_ALL.replace("true", "false")
MEASURE = """() => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height] };
  const shown = e => e.getClientRects().length > 0;
  const light = colour => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255);
    const [r, g, b] = parts.map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const texts = [...document.querySelectorAll('svg.chart text')].filter(shown);
  const contrast = e => {
    const ink = light(getComputedStyle(e).fill);
    return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
  };
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    charts: [...document.querySelectorAll('svg.chart')].filter(shown).map(box),
    points: [...document.querySelectorAll('#picture .point')].filter(shown).map(box),
    heights: texts.map(e => e.getBoundingClientRect().height),
    contrasts: texts.map(contrast),
  };
}"""
TIPS = """() => [...document.querySelectorAll('.tip')].filter(e => e.getClientRects().length).map(e => {
  const r = e.getBoundingClientRect();
  return {text: e.innerText, left: r.left, right: r.right, wide: document.documentElement.scrollWidth};
})"""

MIDDLE = "e => e.scrollIntoView({block: 'center', behavior: 'instant'})"

Open = Callable[..., Any]


def absent(sentence: str) -> None:
    """Skip with a sentence; EDGEPACK_REQUIRE_CHROMIUM=1 makes it a failure."""
    if os.environ.get("EDGEPACK_REQUIRE_CHROMIUM") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests here."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        absent("Chromium is not installed, so the page is not looked at (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("Playwright is not installed, so the page is not looked at (pip install 'edgepack[test]')")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        with playwright.chromium.launch(executable_path=path, args=flags) as chromium:
            yield chromium


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
    """A run for three targets with devices, flags and a history, and its report."""
    run: Path = runs.write_run(tmp_path_factory.mktemp("html"), limit=0.004)
    runs.add_emulated(run)
    runs.add_unbuilt(run)
    runs.add_devices(run)
    runs.add_history(run)
    runs.add_history(run, simulated=True)
    write(run)
    return run


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    """The same report as data."""
    return collect(folder)


@pytest.fixture(scope="module")
def opened(browser: Any, folder: Path) -> Iterator[Open]:
    """Opens the page as one looks at it, once for all tests; notes every message, failure and request."""
    contexts = []

    @cache
    def open_page(size: str = "desktop", scheme: str = "light", page: Path | None = None) -> Any:
        phone = size == "phone"
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, has_touch=phone, is_mobile=phone)
        contexts.append(context)
        tab = context.new_page()
        tab.noise = []
        tab.on("console", lambda message: tab.noise.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: tab.noise.append(f"error: {error}"))
        tab.on("requestfailed", lambda request: tab.noise.append(f"failed: {request.url}"))
        tab.requests = []
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.goto((page or folder / "report.html").as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()


def complaints(tab: Any, part: str | None = None) -> list[str]:
    """What axe-core finds wrong with the page as it is, or with a part of it: rule and element.

    The thousands of shapes inside charts are left out, which are one image each; their texts are measured below.
    """
    from axe_playwright_python.sync_playwright import Axe

    context = part or {"exclude": [["svg.chart > *"]]}
    found = Axe().run(tab, context=context, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


# Both sizes and both schemes; a run over a whole page takes seconds.
@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_no_complaint_of_axe(opened: Open, size: str, scheme: str) -> None:
    tab = opened(size, scheme)
    tab.evaluate(OPEN_ALL)
    try:
        assert complaints(tab) == []
    finally:
        tab.evaluate(CLOSE_ALL)


def test_axe_complains_where_it_should(opened: Open) -> None:
    tab = opened()
    tab.evaluate("document.querySelector('header p').style.color = '#ddd'")
    assert {complaint.partition(":")[0] for complaint in complaints(tab, "header")} == {"color-contrast"}
    tab.evaluate("document.querySelector('header p').style.color = ''")


def test_no_message_and_no_request(opened: Open, folder: Path, tmp_path: Path) -> None:
    tab = opened()
    tab.wait_for_timeout(200)
    assert tab.noise == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [(folder / "report.html").as_uri()]
    # The same look at a page that does complain, so that silence above means something.
    page = Path(shutil.copy(folder / "report.html", tmp_path))
    planted = "<script>console.error('planted')</script><img src='none.png' alt=''></main>"
    page.write_text(page.read_text().replace("</main>", planted))
    loud = opened(page=page)
    loud.wait_for_timeout(200)
    assert "error: planted" in loud.noise
    assert any(url.endswith("none.png") for url in loud.requests)


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_it_looks_right(opened: Open, report: Report, tmp_path: Path, size: str, scheme: str) -> None:
    from PIL import Image

    tab = opened(size, scheme)
    shot = tmp_path / f"{size}-{scheme}.png"
    tab.screenshot(path=shot, full_page=True)
    found, width = tab.evaluate(MEASURE), SIZES[size]["width"]
    assert found["overflow"] <= 0, f"the page is wider than {width} px"
    assert len(found["points"]) == len(rows(report))
    for left, _, across, down in found["points"]:
        assert min(across, down) >= 24, "too small for a finger"
        assert left >= 0
        assert left + across <= width
    assert len(found["charts"]) > 10
    for left, _, across, down in found["charts"]:
        assert across >= 300
        assert down >= 60
        assert left >= 0
        assert left + across <= width
    # Text that cannot be read on a phone or in the dark is no text.
    assert min(found["heights"]) >= 10
    assert min(found["contrasts"]) >= 4.5
    with Image.open(shot) as picture:
        image = picture.convert("RGB")
    assert image.getpixel((2, 2)) == PAGE_COLOUR[scheme]
    colours = image.getcolors(maxcolors=2**24) or []
    share = sum(number for number, colour in colours if colour == PAGE_COLOUR[scheme]) / (image.width * image.height)
    assert 0.3 < share < 0.95, "nearly blank, or nearly full"
    # Points are drawn with an opacity of 0.9 over the page, so their colour is near, not equal.
    near = sum(
        number
        for number, colour in colours
        if isinstance(colour, tuple) and all(abs(a - b) < 30 for a, b in zip(colour, POINT_COLOUR[scheme], strict=True))
    )
    assert near > 500


def test_each_point_tells_its_figures_to_a_pointer(opened: Open, report: Report) -> None:
    tab = opened()
    tab.evaluate("document.activeElement.blur()")
    tab.mouse.move(0, 0)
    assert tab.evaluate(TIPS) == []
    points = tab.locator("#picture .point:visible")
    told = []
    for index in range(points.count()):
        points.nth(index).evaluate(MIDDLE)
        points.nth(index).hover(timeout=3000)
        (tip,) = tab.evaluate(TIPS)
        assert tip["left"] >= 0
        assert tip["right"] <= tip["wide"] <= DESKTOP["width"]
        told.append(tip["text"])
    assert len(set(told)) > len(rows(report)) // 2
    assert all("Verdict" in text and "KiB" in text for text in told)


def test_each_point_tells_its_figures_to_a_finger(opened: Open) -> None:
    tab = opened("phone", "dark")
    points = tab.locator("#picture .point:visible, #curves .point:visible >> nth=3")
    for index in range(points.count()):
        points.nth(index).evaluate(MIDDLE)
        points.nth(index).tap(timeout=3000)
        (tip,) = tab.evaluate(TIPS)
        assert tip["text"]
        assert tip["left"] >= 0
        assert tip["right"] <= tip["wide"] <= PHONE["width"]


def test_each_point_tells_its_figures_to_a_keyboard(opened: Open, report: Report) -> None:
    tab = opened()
    tab.mouse.move(0, 0)
    tab.locator("nav a").last.focus()
    heard = []
    for _ in rows(report):
        tab.keyboard.press("Tab")
        (tip,) = tab.evaluate(TIPS)
        label = tab.evaluate("document.activeElement.getAttribute('aria-label')")
        assert tip["text"].splitlines()[0] in label
        heard.append(tab.evaluate("document.activeElement.id"))
    assert len(set(heard)) == len(rows(report))
    assert all(name.startswith("picture-") for name in heard)


def test_every_link_leads_to_a_part_of_the_page(opened: Open) -> None:
    tab = opened("phone", "light")
    links = tab.locator("nav a")
    assert links.count() >= 8
    for index in range(links.count()):
        link = links.nth(index)
        link.click()
        part = tab.locator(link.get_attribute("href"))
        assert part.locator("h2").first.is_visible()
