"""How does a matplotlib figure become an inline SVG: small, always the same, for eye, hand and ear?"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, LINE, SURFACE = "#1c2024", "#5f6671", "#d9dde2", "#ffffff"
OK, FAILED = "#00795a", "#b8420c"
BAND = "#e2f1ec"
DPI = 72
"""Of the figures before they are saved: a pixel is then a unit of the SVG, and places in it can be told."""
# Okabe and Ito's palette, darkened where a thin line on white needs it; told apart with any colour vision.
SERIES = ("#0a6fb3", "#d98a00", "#0b8f6c", "#b5568f", "#4f9fd0", "#7d6b00")
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    SURFACE: "surface",
    OK: "ok",
    FAILED: "failed",
    BAND: "band",
    **{colour: f"series-{index}" for index, colour in enumerate(SERIES)},
}
STYLE: dict[str, Any] = {
    "svg.hashsalt": "edgepack",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.minor.visible": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
}


@contextmanager
def style() -> Iterator[None]:
    """The look of every chart, independent of the user's own matplotlib settings."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]  # its keys are literals
        yield


def new_figure(width_inches: float, height_inches: float, *, background: str = "none") -> "Figure":
    """An empty figure of its own: no window, no global state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (width_inches, height_inches)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor=background)
    FigureCanvasAgg(figure)
    return figure


def settle(figure: "Figure") -> None:
    """Lay a figure out as it will be drawn, so that places in it can be asked for; nothing moves afterwards."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def inline(figure: "Figure", *, slug: str, label: str) -> str:
    """Render a figure for an HTML page.

    Colours become the page's CSS variables, so that the chart follows light and dark; text stays text.

    Args:
        figure: Drawn inside `style()`.
        slug: Unique in the page; all ids of the SVG begin with it.
        label: What the whole picture shows, for those who cannot see it.

    Returns:
        An `<svg>` element.
    """
    import matplotlib as mpl

    buffer = BytesIO()
    # fonttype none: the page's own fonts, selectable, and a tenth of the size.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"edgepack-{slug}"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', svg)
    view = box.group(1) if box else ""
    opening = f'<svg class="chart" viewBox="{view}" role="img" aria-label="{escape(label)}">'
    svg = opening + svg[svg.index(">") + 1 :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href=", "href=")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]+;? ?", "", svg)
    svg = re.sub(r"font: (\w+) ([\d.]+px) [^;\"]+", r"font-weight: \1; font-size: \2", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return re.sub(r'(\bid="|\bhref="#|url\(#)', rf"\g<1>{slug}-", svg)


def slug_of(*parts: str) -> str:
    """An id made of any texts: letters, digits and hyphens only."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "x" for part in parts)
