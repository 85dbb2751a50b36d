"""How do the times of single inferences spread, for every result that was measured?"""

from typing import TYPE_CHECKING

from edgepack.report import svg
from edgepack.report.formatting import runtime_name, significant
from edgepack.report.schema import Latency, Report, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, ROW_INCHES, MARGIN_INCHES = 4.2, 0.54, 0.62


def distributions(report: Report) -> tuple[tuple[str, str], ...]:
    """(target, inline SVG) for every target with raw samples: one line per artifact, runtime and place."""
    found: list[tuple[str, str]] = []
    with svg.style():
        for target in report.targets:
            drawn = [latency for latency in target.latencies if latency.percentiles_ms and latency.status == "ok"]
            if not drawn:
                continue
            figure = svg.new_figure(WIDTH_INCHES, ROW_INCHES * len(drawn) + MARGIN_INCHES)
            tips = _chart(figure.add_subplot(), target, drawn)
            slug = svg.slug_of("latency", str(len(found)), target.name)
            label = f"Distribution of the latency on {target.name}, ms, one line per artifact, runtime and place"
            found.append((target.name, svg.inline(figure, slug=slug, label=label, points=tips)))
    return tuple(found)


def _chart(axes: "Axes", target: Target, drawn: list[Latency]) -> dict[str, str]:
    """A strip of percentiles per result with its quartiles and median; on a log scale when they differ."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    runtimes = list(dict.fromkeys(latency.runtime for latency in target.latencies))
    # The 1st to the 99th percentile: one interrupted run would squeeze everything else into a corner.
    low = min(latency.percentiles_ms[1] for latency in drawn)
    high = max(latency.percentiles_ms[99] for latency in drawn)
    if low > 0 and high / low > 4:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.15, high * 1.15)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.06 * (high - low) or 0.05 * high or 1.0
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("ms per inference" + (" (log scale)" if axes.get_xscale() == "log" else ""))
    axes.set_ylim(len(drawn) - 0.55, -0.75)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    tips: dict[str, str] = {}
    for line, latency in enumerate(drawn):
        tips[f"strip-{line}"] = _strip(axes, line, latency, svg.SERIES[runtimes.index(latency.runtime) % 6])
    return tips


def _strip(axes: "Axes", line: int, latency: Latency, colour: str) -> str:
    """Draw one result; returns its tooltip."""
    p = latency.percentiles_ms
    heights = [line + 0.2 + 0.14 * ((index * 0.618) % 1 - 0.5) for index in range(1, 100)]
    axes.scatter(p[1:100], heights, s=5, color=colour, alpha=0.45, linewidth=0, zorder=3)
    axes.plot([p[5], p[95]], [line - 0.02] * 2, color=colour, linewidth=1, zorder=3)
    axes.plot(
        [p[25], p[75]],
        [line - 0.02] * 2,
        color=colour,
        linewidth=6,
        solid_capstyle="butt",
        alpha=0.6,
        zorder=3,
    )
    axes.plot(
        [p[50]],
        [line - 0.02],
        marker="|",
        markersize=11,
        markeredgewidth=2.2,
        color=svg.INK,
        zorder=5,
        gid=f"strip-{line}",
    )
    place = f"{latency.where}, emulated" if latency.emulated else latency.where
    name = f"{latency.artifact.removeprefix('model.')}, {runtime_name(latency.runtime)}, {place}"
    axes.annotate(
        name,
        (0, line - 0.27),
        xycoords=("axes fraction", "data"),
        fontsize=8.5,
        va="bottom",
        ha="left",
        zorder=6,
    )
    numbers = f"{significant(p[50])} / {significant(p[90])} / {significant(p[99])}"
    axes.annotate(
        numbers,
        (1, line - 0.27),
        xycoords=("axes fraction", "data"),
        fontsize=8.5,
        va="bottom",
        ha="right",
        color=svg.MUTED,
        zorder=6,
    )
    runs = f", {latency.runs:,} runs" if latency.runs else ""
    return f"{name}: p50 / p90 / p99 {numbers} ms{runs}"
