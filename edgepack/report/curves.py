"""How did accuracy, loss and learning rate go, epoch by epoch, through training and every compression step?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.report import svg
from edgepack.report.formatting import percent, sentence_start, shortened, significant
from edgepack.report.hover import Chart, Spot, spot_over
from edgepack.report.schema import Epoch, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE_INCHES = (3.3, 2.3)
NAMES_SHARE = 0.075
MOST_BANDS = 80
"""Over a chart; a finger cannot tell more of them apart."""


@dataclass(frozen=True)
class Line:
    """One line of a chart: the field of `Epoch` that it shows, and how it looks."""

    field: str
    word: str
    colour: str
    dashes: str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Plan:
    """One chart: its lines, in the order in which they are drawn; ``factor`` 100 shows fractions as percentages."""

    title: str
    lines: tuple[Line, ...]
    factor: float = 1.0


def _both(train: str, held_out: str) -> tuple[Line, ...]:
    return (
        Line(train, "training", svg.SERIES[1], (0, (3, 2))),
        Line(held_out, "validation", svg.SERIES[0], "solid"),
    )


def plans(metric: str) -> tuple[Plan, ...]:
    """The charts of a run whose figure of merit, which curves call accuracy, is ``metric``."""
    return (
        Plan(sentence_start(metric), _both("accuracy", "val_accuracy"), 100.0),
        Plan("Loss", _both("loss", "val_loss")),
        Plan("Learning rate", (Line("learning_rate", "learning rate", svg.SERIES[2], "solid"),)),
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


def curves(report: Report) -> tuple[Chart, ...]:
    """Each chart over all epochs, as far as its figures were recorded."""
    parts = phases(report)
    found: list[Chart] = []
    with svg.style():
        for plan in plans(report.metric):
            values = [getattr(e, line.field) for part in parts for e in part.curve for line in plan.lines]
            if all(value is None for value in values):
                continue
            figure = svg.new_figure(*CURVE_INCHES)
            axes = figure.add_subplot()
            lines = _draw(axes, parts, plan)
            # Room for the names of phases; were they part of the layout, a long one would take the axes' width.
            figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - NAMES_SHARE * lines))
            svg.settle(figure)
            words = " and ".join(line.word for line in plan.lines) if len(plan.lines) > 1 else ""
            label = f"{plan.title} by epoch{f', {words}' if words else ''}; " + ", ".join(part.name for part in parts)
            slug = svg.slug_of("curve", plan.title)
            spots = tuple(_spots(figure, axes, parts, plan, slug))
            found.append(Chart(plan.title, svg.inline(figure, slug=slug, label=label), spots))
    return tuple(found)


def _draw(axes: "Axes", parts: tuple[Phase, ...], plan: Plan) -> int:
    """Draw one chart over all phases; returns how many lines their names take above it."""
    from matplotlib.ticker import MaxNLocator

    start = 0
    axes.set_xlabel("epoch, counted through all steps")
    axes.set_ylabel("%" if plan.factor == 100 else "")
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for number, part in enumerate(parts):
        for line in plan.lines:
            points = [
                (start + offset, plan.factor * value)
                for offset, epoch in enumerate(part.curve, start=1)
                if (value := getattr(epoch, line.field)) is not None
            ]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=line.colour, linewidth=1.6, linestyle=line.dashes, zorder=3)
            axes.plot(x[-1:], y[-1:], color=line.colour, marker="o", markersize=4.5, zorder=4)
        start += len(part.curve)
        if number + 1 < len(parts):
            axes.axvline(start + 0.5, color=svg.MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
    axes.set_xlim(0.5, start + 0.5)
    return _name_phases(axes, parts, start)


def _spots(figure: "Figure", axes: "Axes", parts: tuple[Phase, ...], plan: Plan, slug: str) -> Iterator[Spot]:
    """A band over each epoch, or a few of them in long runs; the last of each phase is a stop of the Tab key."""
    start, step = 0, max(1, math.ceil(sum(len(part.curve) for part in parts) / MOST_BANDS))
    for number, part in enumerate(parts):
        ends = [*range(len(part.curve), 0, -step)][::-1]
        for end, before in zip(ends, [0, *ends], strict=False):
            facts = tuple(
                (sentence_start(line.word), f"{percent(value)} %" if plan.factor == 100 else significant(value))
                for line in plan.lines
                if (value := getattr(part.curve[end - 1], line.field)) is not None
            )
            if facts:
                yield spot_over(
                    figure,
                    axes,
                    f"{slug}-{number}-{end}",
                    f"{part.name}, epoch {end} of {len(part.curve)}",
                    facts,
                    box=(start + before + 0.5, None, start + end + 0.5, None),
                    stop=end == len(part.curve),
                )
        start += len(part.curve)


def _name_phases(axes: "Axes", parts: tuple[Phase, ...], epochs: int) -> int:
    """Write each phase's name above its stretch, on a second line where it is too short for it; returns the lines."""
    start = 0
    lines_end = [0.0, 0.0]  # where the last name on each of the two lines ends, as a share of the width
    for part in parts:
        left = start / epochs
        line = 0 if left >= lines_end[0] else 1
        lines_end[line] = left + 0.033 * (len(part.name) + 1)
        axes.annotate(
            shortened(part.name, 16),
            (left, 1),
            xycoords="axes fraction",
            xytext=(2, 3 + 11 * line),
            textcoords="offset points",
            fontsize=8.5,
            color=svg.INK,
            in_layout=False,
        )
        start += len(part.curve)
    return 2 if lines_end[1] else 1
