"""How did the median of the same measurement go over time?"""

from typing import TYPE_CHECKING

from edgepack.report import svg
from edgepack.report.collect_history import new_files
from edgepack.report.formatting import runtime_name, significant
from edgepack.report.hover import Chart, spot_over
from edgepack.report.schema import Past, Report, Trend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHART_INCHES = (4.2, 2.2)
MOST = 60
"""Entries that are drawn; the newest ones."""


def histories(report: Report) -> tuple[Chart, ...]:
    """A chart for everything that was measured at least twice."""
    found: list[Chart] = []
    with svg.style():
        for target in report.targets:
            for trend in target.history:
                if len(trend.entries) < 2:
                    continue
                entries = trend.entries[-MOST:]
                figure = svg.new_figure(*CHART_INCHES)
                axes = figure.add_subplot()
                _draw(axes, entries, new_files(trend)[-MOST:])
                svg.settle(figure)
                slug = svg.slug_of("history", str(len(found)), target.name)
                title = f"{trend.artifact} in {runtime_name(trend.runtime)} for {target.name}, {_place(trend)}"
                spots = tuple(
                    spot_over(
                        figure,
                        axes,
                        f"{slug}-{index}",
                        entry.when,
                        _facts(entry),
                        box=(index - 0.5, None, index + 0.5, None),
                        stop=index in (0, len(entries) - 1),
                    )
                    for index, entry in enumerate(entries)
                )
                label = f"Median latency of {title}, ms, {len(entries)} measurements"
                note = "simulated" if trend.simulated else ""
                found.append(Chart(title, svg.inline(figure, slug=slug, label=label), spots, note=note))
    return tuple(found)


def _place(trend: Trend) -> str:
    return f"{trend.where}, {trend.threads} thread{'' if trend.threads == 1 else 's'}"


def _facts(entry: Past) -> tuple[tuple[str, str], ...]:
    found = [("Median", f"{significant(entry.p50_ms)} ms")]
    if entry.low_ms is not None and entry.high_ms is not None:
        found.append(("95 % interval", f"{significant(entry.low_ms)} to {significant(entry.high_ms)} ms"))
    if entry.sha256:
        found.append(("File", entry.sha256[:12]))
    return (*found, *((("Flags", entry.note),) if entry.note else ()))


def _draw(axes: "Axes", entries: tuple[Past, ...], new: tuple[bool, ...]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    for index, (entry, changed) in enumerate(zip(entries, new, strict=True)):
        if changed:
            axes.axvline(index - 0.5, color=svg.MUTED, linewidth=0.7, linestyle=(0, (2, 3)), zorder=1)
        if entry.low_ms is not None and entry.high_ms is not None:
            axes.plot(
                [index] * 2, [entry.low_ms, entry.high_ms], color=svg.SERIES[0], linewidth=1.4, alpha=0.6, zorder=2
            )
        face = svg.SURFACE if entry.note else svg.SERIES[0]
        axes.plot(
            [index],
            [entry.p50_ms],
            marker="o",
            markersize=5.5,
            markerfacecolor=face,
            markeredgecolor=svg.SERIES[0],
            zorder=4,
        )
    axes.plot(range(len(entries)), [entry.p50_ms for entry in entries], color=svg.SERIES[0], linewidth=1.2, zorder=3)
    heights = [x for e in entries for x in (e.p50_ms, e.low_ms, e.high_ms) if x is not None]
    low, high = min(heights), max(heights)
    # Never so close that the noise of a tenth of a percent looks like a cliff.
    span = max(high - low, 0.1 * abs(high)) or 1.0
    middle = (low + high) / 2
    axes.set_ylim(middle - 0.65 * span, middle + 0.65 * span)
    axes.set_xlim(-0.6, len(entries) - 0.4)
    axes.set_ylabel("ms")
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    last = len(entries) - 1
    axes.set_xticks([0, last], [entries[0].when[:10], entries[last].when[:10]])
    first_label, last_label = axes.get_xticklabels()
    first_label.set_horizontalalignment("left")
    last_label.set_horizontalalignment("right")
