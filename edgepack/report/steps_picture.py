"""What did each compression step change: bytes, time, accuracy, before and after?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.report import svg
from edgepack.report.formatting import percent, shortened, significant
from edgepack.report.hover import Chart, spot_over
from edgepack.report.paid import columns, paid, weighed
from edgepack.report.schema import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, ROW_INCHES, MARGIN_INCHES = 3.3, 0.46, 0.2


@dataclass(frozen=True)
class Bars:
    """One chart: a value for each step, and a paler one behind it where there is one."""

    title: str
    unit: str
    values: tuple[float | None, ...]
    behind: tuple[float | None, ...] = ()
    colour: str = svg.SERIES[0]
    from_zero: bool = True


def step_charts(report: Report) -> tuple[Chart, ...]:
    """Size, latency and accuracy after each step, as far as they are known of two of them at least."""
    lines = paid(report)
    models = weighed(report)
    if len(lines) < 2:
        return ()
    kib = tuple(None if m.footprint.compressed_bytes is None else m.footprint.compressed_bytes / 1024 for m in models)
    raw = tuple(None if m.footprint.raw_bytes is None else m.footprint.raw_bytes / 1024 for m in models)
    charts = (
        Bars("Size in an APK or zip; pale: as a file", "KiB", kib, raw),
        Bars("Median latency, on the host", "ms", tuple(m.footprint.p50_ms for m in models), (), svg.SERIES[1]),
        Bars(
            f"Validation {report.metric}",
            "%",
            tuple(None if m.accuracy is None else 100 * m.accuracy for m in models),
            (),
            svg.SERIES[2],
            from_zero=False,
        ),
    )
    names = [(f"{name} {unit}".strip()) for name, unit in columns(report)]
    tips = [(shortened(f"{line.step}, {line.precision}"), tuple(zip(names, line.cells, strict=True))) for line in lines]
    found = []
    with svg.style():
        for index, bars in enumerate(charts):
            if sum(value is not None for value in bars.values) < 2:
                continue
            figure = svg.new_figure(WIDTH_INCHES, ROW_INCHES * len(lines) + MARGIN_INCHES)
            axes = figure.add_subplot()
            _draw(axes, [title for title, _ in tips], bars)
            svg.settle(figure)
            slug = svg.slug_of("steps", str(index))
            spots = tuple(
                spot_over(figure, axes, f"{slug}-{row}", title, facts, box=(None, row + 0.5, None, row - 0.5))
                for row, (title, facts) in enumerate(tips)
            )
            label = f"{bars.title}, {bars.unit}, after each step"
            found.append(Chart(bars.title, svg.inline(figure, slug=slug, label=label), spots))
    return tuple(found)


def _draw(axes: "Axes", names: list[str], bars: Bars) -> None:
    known = [value for value in (*bars.values, *bars.behind) if value is not None]
    low, high = (0.0 if bars.from_zero else min(known)), max(known)
    span = (high - low) or abs(high) or 1.0
    # A tenth of a point of accuracy should look small, and never fill the picture.
    low = low if bars.from_zero else min(low, high - 1.0) - 0.15 * max(span, 1.0)
    axes.set_xlim(low, high + 0.3 * (high - low or 1.0))
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.yaxis.set_visible(False)
    axes.xaxis.set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    for row, (name, value) in enumerate(zip(names, bars.values, strict=True)):
        axes.annotate(
            name,
            (0, row - 0.16),
            xycoords=("axes fraction", "data"),
            fontsize=8.5,
            va="bottom",
            color=svg.MUTED,
            in_layout=False,
        )
        behind = bars.behind[row] if bars.behind else None
        if behind is not None:
            axes.barh([row + 0.1], [behind], height=0.34, color=bars.colour, alpha=0.25, zorder=2)
        if value is None:
            axes.annotate(
                "not known",
                (0.0, row + 0.1),
                xycoords=("axes fraction", "data"),
                va="center",
                color=svg.MUTED,
                in_layout=False,
            )
            continue
        if bars.from_zero:
            axes.barh([row + 0.1], [value], height=0.34, color=bars.colour, zorder=3)
        else:
            axes.plot([low, value], [row + 0.1] * 2, color=svg.LINE, linewidth=1.5, zorder=1)
            axes.plot([value], [row + 0.1], marker="o", markersize=8, color=bars.colour, zorder=3)
        text = percent(value / 100) if bars.unit == "%" else significant(value)
        at = max(value, behind or value)
        axes.annotate(
            f"{text} {bars.unit}",
            (at, row + 0.1),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
            in_layout=False,
            zorder=5,
        )
