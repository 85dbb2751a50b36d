"""How did accuracy, loss and learning rate go, epoch by epoch, through training and every compression step?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.report import svg
from edgepack.report.formatting import percent, sentence_start, significant
from edgepack.report.schema import Epoch, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE_INCHES = (4.2, 2.8)


@dataclass(frozen=True)
class Line:
    """One line of a chart: the field of `Epoch` that it shows, and how it looks."""

    field: str
    word: str
    colour: str
    dashes: str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Chart:
    """One chart: its lines, in the order in which they are drawn; ``factor`` 100 shows fractions as percentages."""

    title: str
    lines: tuple[Line, ...]
    factor: float = 1.0


def _both(train: str, held_out: str) -> tuple[Line, ...]:
    return (
        Line(train, "training", svg.SERIES[1], (0, (3, 2))),
        Line(held_out, "validation", svg.SERIES[0], "solid"),
    )


def charts(metric: str) -> tuple[Chart, ...]:
    """The charts of a run whose figure of merit, which curves call accuracy, is ``metric``."""
    return (
        Chart(sentence_start(metric), _both("accuracy", "val_accuracy"), 100.0),
        Chart("Loss", _both("loss", "val_loss")),
        Chart("Learning rate", (Line("learning_rate", "learning rate", svg.SERIES[2], "solid"),)),
    )


@dataclass(frozen=True)
class Phase:
    """One stretch of epochs: the training, or one compression step."""

    name: str
    curve: tuple[Epoch, ...]


def phases(report: Report) -> tuple[Phase, ...]:
    """The training and the steps that have a curve, in order."""
    found = [Phase("train", report.training.curve)] if report.training else []
    found += [Phase(step.use, step.curve) for step in report.steps]
    return tuple(phase for phase in found if phase.curve)


def curves(report: Report) -> tuple[tuple[str, str], ...]:
    """(title, inline SVG) of each chart over all epochs, as far as its figures were recorded."""
    parts = phases(report)
    found: list[tuple[str, str]] = []
    with svg.style():
        for chart in charts(report.metric):
            values = [getattr(e, line.field) for part in parts for e in part.curve for line in chart.lines]
            if all(value is None for value in values):
                continue
            figure = svg.new_figure(*CURVE_INCHES)
            tips = _draw(figure.add_subplot(), parts, chart)
            words = " and ".join(line.word for line in chart.lines) if len(chart.lines) > 1 else ""
            label = f"{chart.title} by epoch{f', {words}' if words else ''}; " + ", ".join(part.name for part in parts)
            slug = svg.slug_of("curve", chart.title)
            found.append((chart.title, svg.inline(figure, slug=slug, label=label, points=tips)))
    return tuple(found)


def _draw(axes: "Axes", parts: tuple[Phase, ...], chart: Chart) -> dict[str, str]:
    """Draw one chart over all phases; returns the tooltips of the last point of each line."""
    from matplotlib.ticker import MaxNLocator

    tips: dict[str, str] = {}
    start = 0
    axes.set_xlabel("epoch, counted through all steps")
    axes.set_ylabel("%" if chart.factor == 100 else "")
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for number, part in enumerate(parts):
        for line in chart.lines:
            points = [
                (start + offset, chart.factor * value)
                for offset, epoch in enumerate(part.curve, start=1)
                if (value := getattr(epoch, line.field)) is not None
            ]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=line.colour, linewidth=1.6, linestyle=line.dashes, zorder=3)
            gid = f"end-{number}-{svg.slug_of(line.word)}"
            axes.plot(x[-1:], y[-1:], color=line.colour, marker="o", markersize=4.5, zorder=4, gid=gid)
            last = f"{percent(y[-1] / 100)} %" if chart.factor == 100 else significant(y[-1])
            tips[gid] = f"{part.name}: {line.word} {last} after {len(part.curve)} epochs"
        start += len(part.curve)
        if number + 1 < len(parts):
            axes.axvline(start + 0.5, color=svg.MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
    axes.set_xlim(0.5, start + 0.5)
    _name_phases(axes, parts, start)
    return tips


def _name_phases(axes: "Axes", parts: tuple[Phase, ...], epochs: int) -> None:
    """Write each phase's name above its stretch, on a second line where the stretch is too short for it."""
    start = 0
    lines_end = [0.0, 0.0]  # where the last name on each of the two lines ends, as a share of the width
    for part in parts:
        left = start / epochs
        line = 0 if left >= lines_end[0] else 1
        lines_end[line] = left + 0.025 * (len(part.name) + 1)
        axes.annotate(
            part.name,
            (left, 1),
            xycoords="axes fraction",
            xytext=(2, 3 + 11 * line),
            textcoords="offset points",
            fontsize=8.5,
            color=svg.INK,
        )
        start += len(part.curve)
