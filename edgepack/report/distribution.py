"""How do the times of single inferences spread, how sure is the median, in every place that measured?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.report import svg
from edgepack.report.facts import latency_facts
from edgepack.report.formatting import runtime_name, shortened, significant
from edgepack.report.hover import Chart, Spot, spot_over
from edgepack.report.schema import Latency, Report, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

WIDTH_INCHES, ROW_INCHES, MARGIN_INCHES = 4.2, 0.56, 0.62


@dataclass(frozen=True)
class Place:
    """What one place measured of a target; `labels` are words that its numbers must never be read without."""

    target: Target
    where: str
    labels: tuple[str, ...]
    latencies: tuple[Latency, ...]

    @property
    def real(self) -> bool:
        """Whether its times are those of a real machine."""
        return not self.labels


def places(report: Report) -> tuple[Place, ...]:
    """Every place with a result: of each target the container, the host, then other devices."""
    found = []
    for target in report.targets:
        for where in ("container", "host"):
            some = tuple(x for x in target.latencies if x.where == where and x.status == "ok")
            labels = tuple(["emulated"] if any(x.emulated for x in some) else [])
            found.append(Place(target, "in the container" if where == "container" else "on the host", labels, some))
        for device in target.devices:
            words = (("simulated", device.simulated), ("emulated", device.emulated))
            labels = tuple(word for word, true in words if true)
            some = tuple(x for x in device.latencies if x.status == "ok")
            found.append(Place(target, f"on {device.name}", labels, some))
    return tuple(place for place in found if place.latencies)


def distributions(report: Report) -> tuple[Chart, ...]:
    """A chart for every place with raw samples or a median: one line per artifact and runtime."""
    found: list[Chart] = []
    with svg.style():
        for index, place in enumerate(places(report)):
            # Places with real times share a scale, so that they can be compared; others have scales of their own.
            beside = [p for p in places(report) if p.target is place.target and p.real] if place.real else [place]
            figure = svg.new_figure(WIDTH_INCHES, ROW_INCHES * len(place.latencies) + MARGIN_INCHES)
            axes = figure.add_subplot()
            _scale(axes, [x for p in beside for x in p.latencies])
            runtimes = list(dict.fromkeys(x.runtime for x in (*place.target.latencies, *place.latencies)))
            for line, latency in enumerate(place.latencies):
                _strip(axes, line, latency, svg.SERIES[runtimes.index(latency.runtime) % len(svg.SERIES)])
            axes.set_ylim(len(place.latencies) - 0.55, -0.75)
            svg.settle(figure)
            slug = svg.slug_of("latency", str(index), place.target.name)
            title = f"{place.target.name}, {place.where}"
            label = f"Distribution of the latency on {title}, ms, one line per artifact and runtime"
            spots = tuple(_spot(figure, axes, line, latency, slug) for line, latency in enumerate(place.latencies))
            found.append(Chart(title, svg.inline(figure, slug=slug, label=label), spots, note=", ".join(place.labels)))
    return tuple(found)


def _spread(latency: Latency) -> tuple[float, float]:
    """The 1st and the 99th percentile: one interrupted run would squeeze everything else into a corner."""
    p = latency.percentiles_ms
    middle = latency.p50_ms or 0.0
    return (p[1], p[99]) if p else (middle, latency.p99_ms or latency.p90_ms or middle)


def _scale(axes: "Axes", latencies: list[Latency]) -> None:
    """A log scale when the results differ much."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low = min(_spread(latency)[0] for latency in latencies)
    high = max(_spread(latency)[1] for latency in latencies)
    if low > 0 and high / low > 4:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.15, high * 1.15)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("ms per inference" + (" (log scale)" if axes.get_xscale() == "log" else ""))
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _strip(axes: "Axes", line: int, latency: Latency, colour: str) -> None:
    """One result: percentiles as dots, the middle half as a bar, the median as a tick, its interval as a bracket."""
    p = latency.percentiles_ms
    base = line - 0.02
    if p:
        heights = [line + 0.2 + 0.19 * ((index * 0.618) % 1 - 0.5) for index in range(1, 100)]
        axes.add_patch(_dots(list(p[1:100]), heights, colour))
        axes.plot([p[5], p[95]], [base] * 2, color=colour, linewidth=1, zorder=3)
        axes.plot([p[25], p[75]], [base] * 2, color=colour, linewidth=6, solid_capstyle="butt", alpha=0.6, zorder=3)
    middle = latency.p50_ms or 0.0
    axes.plot([middle], [base], marker="|", markersize=11, markeredgewidth=2.2, color=svg.INK, zorder=5)
    bounds = (latency.interval_ms or {}).get("p50")
    if bounds:
        axes.plot(bounds, [base + 0.36] * 2, color=svg.INK, linewidth=1.4, marker="|", markersize=5, zorder=5)
    name = shortened(f"{latency.artifact.removeprefix('model.')}, {runtime_name(latency.runtime)}")
    # Whatever a device left out, the line begins with what it did tell.
    quantiles = [latency.p50_ms, latency.p90_ms, latency.p99_ms]
    numbers = " / ".join("–" if value is None else significant(value) for value in quantiles)
    marks = "".join(f" · {flag.kind}" for flag in latency.flags if flag.kind not in ("simulated", "emulated"))
    mark = " · unstable" if latency.stable is False and "unstable" not in marks else ""
    for text, x, side, look in ((f"{name}{marks}{mark}", 0, "left", svg.INK), (numbers, 1, "right", svg.MUTED)):
        axes.annotate(
            text,
            (x, line - 0.27),
            xycoords=("axes fraction", "data"),
            fontsize=8.5,
            va="bottom",
            ha=side,
            color=look,
            zorder=6,
            in_layout=False,
        )


def _dots(x: list[float], y: list[float], colour: str) -> "PathPatch":
    """Dots as one shape: lines of no length with round ends, where a scatter would be an element for each."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ends = [(left + reach, height) for left, height in zip(x, y, strict=True) for reach in (0.0, 1e-9 * left)]
    path = Path(ends, [Path.MOVETO, Path.LINETO] * len(x))
    path.should_simplify = False
    return PathPatch(path, fill=False, edgecolor=colour, alpha=0.5, linewidth=1.9, capstyle="round", zorder=3)


def _spot(figure: "Figure", axes: "Axes", line: int, latency: Latency, slug: str) -> Spot:
    title = f"{latency.artifact} in {runtime_name(latency.runtime)}"
    return spot_over(
        figure, axes, f"{slug}-strip-{line}", title, latency_facts(latency), box=(None, line + 0.45, None, line - 0.6)
    )
