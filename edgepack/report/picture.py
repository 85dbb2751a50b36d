"""What does size x accuracy x latency look like, one panel per target?"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import MissingError, RecipeError
from edgepack.report import svg
from edgepack.report.facts import facts_of, title_of
from edgepack.report.formatting import metric_name, percent, runtime_name, significant
from edgepack.report.hover import Chart, apart, spot_at
from edgepack.report.labels import Box, Disc
from edgepack.report.labels import place as place_labels
from edgepack.report.schema import Report, Row, Target
from edgepack.report.table import rows, shown_latency, verdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES, WIDE_INCHES = (4.2, 3.4), (9.0, 3.6)
AREA_LARGEST, AREA_SMALLEST = 900.0, 60.0  # square points
NARROWEST_POINTS = 1.0
"""The accuracy axis spans at least one percentage point, so that one sample more looks small."""


def drawable(table: tuple[Row, ...], target: str) -> tuple[Row, ...]:
    """The rows of a target that have a place in the picture: size and accuracy are both known."""
    return tuple(row for row in table if row.target == target and row.size_kib and row.accuracy is not None)


def pictures(report: Report) -> tuple[Chart, ...]:
    """The picture for an HTML page.

    Returns:
        One for every target that has a point, and a wide twin for desktops where there is one such target.
    """
    table = rows(report)
    drawn = [(target, drawable(table, target.name)) for target in report.targets]
    drawn = [(target, points) for target, points in drawn if points]
    forms = (("narrow", PANEL_INCHES), ("wide", WIDE_INCHES)) if len(drawn) == 1 else (("", PANEL_INCHES),)
    with svg.style():
        return tuple(
            _panel(
                report,
                target,
                points,
                size,
                form,
                svg.slug_of("picture", *filter(None, [form]), str(index), target.name),
            )
            for index, (target, points) in enumerate(drawn)
            for form, size in forms
        )


def _panel(
    report: Report, target: Target, drawn: tuple[Row, ...], size: tuple[float, float], form: str, slug: str
) -> Chart:
    figure = svg.new_figure(*size)
    axes = figure.add_subplot()
    _draw(figure, report, [(axes, target, drawn)])
    areas = _areas(drawn)
    spots = [
        spot_at(
            figure,
            axes,
            f"{slug}-result-{index}",
            title_of(row),
            facts_of(row, shown_latency(target, row.artifact, row.runtime)),
            x=row.size_kib or 0.0,
            y=100 * (row.accuracy or 0.0),
            reach=math.sqrt(areas[index] / math.pi),
        )
        for index, row in enumerate(drawn)
    ]
    label = f"Size against {report.metric} for {target.name}; the area of a point is its median latency"
    # As they are drawn: the small ones last, so that they can be met where they lie on large ones.
    ordered = apart(sorted(spots, key=lambda spot: -spot.width))
    return Chart(target.name, svg.inline(figure, slug=slug, label=label), tuple(ordered), width=form)


def write_picture(report: Report, path: Path) -> None:
    """Write the picture as a file for a README, on white.

    Args:
        report: The report.
        path: Where to; the ending says which form: .png (200 dots per inch) or .svg.

    Raises:
        RecipeError: Another ending.
        MissingError: No result has both a size and an accuracy, or the file cannot be written.
    """
    if path.suffix not in (".png", ".svg"):
        raise RecipeError(f"a picture as {path.name!r} was asked for, expected .png or .svg", fix="change the ending")
    table = rows(report)
    drawn = [(target, drawable(table, target.name)) for target in report.targets]
    drawn = [(target, lines) for target, lines in drawn if lines]
    if not drawn:
        raise MissingError(
            "there is nothing to draw: no result has both a size and an accuracy", fix="run verify first"
        )
    across = min(len(drawn), 2)
    down = math.ceil(len(drawn) / across)
    with svg.style():
        size = (PANEL_INCHES[0] * across + (1.2 if across == 1 else 0), PANEL_INCHES[1] * down + 0.3)
        figure = svg.new_figure(*size, background=svg.SURFACE)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        panels = [
            (figure.add_subplot(down, across, index), target, lines)
            for index, (target, lines) in enumerate(drawn, start=1)
        ]
        for axes, target, _ in panels:
            axes.set_title(target.name)
        _draw(figure, report, panels)
        metadata = dict.fromkeys(("Date", "Creator") if path.suffix == ".svg" else ("Software",))
        temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
        try:
            figure.savefig(temporary, dpi=200, metadata=metadata)
            temporary.replace(path)
        except OSError as error:
            raise MissingError(f"{path} cannot be written: {error.strerror}", fix="choose another place") from error
        finally:
            temporary.unlink(missing_ok=True)


def _draw(figure: "Figure", report: Report, panels: "list[tuple[Axes, Target, tuple[Row, ...]]]") -> None:
    """Draw every panel: x = size (log), y = accuracy, area = median latency, colour = runtime."""
    chosen = {verdict.target: verdict.row for verdict in verdicts(report)}
    for axes, target, drawn in panels:
        _scales(axes, target, drawn)
        _limits(axes, target)
        _points(axes, drawn, chosen[target.name])
    # Labels are placed by pixels, so the layout of the whole figure has to be settled before the first one.
    svg.settle(figure)
    scale = figure.dpi / 72
    for axes, target, drawn in panels:
        _labels(axes, target, drawn, chosen[target.name], scale)


def _points(axes: "Axes", drawn: tuple[Row, ...], chosen: Row | None) -> None:
    runtimes = list(dict.fromkeys(row.runtime for row in drawn))
    areas = _areas(drawn)
    # The large ones first: a small point is never hidden.
    for index in sorted(range(len(drawn)), key=lambda i: -areas[i]):
        row = drawn[index]
        colour = svg.SERIES[runtimes.index(row.runtime) % len(svg.SERIES)]
        solid = row.p50_ms is not None and not row.emulated
        axes.scatter(
            [row.size_kib or 0.0],
            [100 * (row.accuracy or 0.0)],
            s=areas[index],
            facecolor=colour if solid else "none",
            edgecolor=svg.FAILED if row.verdict == "failed" else svg.INK if row == chosen else colour,
            linewidth=1.8 if row == chosen or row.verdict == "failed" else 1.2,
            linestyle="solid" if solid else (0, (2, 1.5)),
            alpha=0.9,
            zorder=3,
        )


def _areas(drawn: tuple[Row, ...]) -> list[float]:
    """The area of each point in square points, in proportion to its median latency; small without one."""
    times_ms = [0.0 if row.emulated else row.p50_ms or 0.0 for row in drawn]
    slowest_ms = max(times_ms, default=0.0)
    return [
        max(AREA_SMALLEST, AREA_LARGEST * time_ms / slowest_ms) if time_ms else 2 * AREA_SMALLEST
        for time_ms in times_ms
    ]


def _scales(axes: "Axes", target: Target, drawn: tuple[Row, ...]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    sizes = [row.size_kib or 0.0 for row in drawn]
    # Room on both sides, more on the right, where most labels go: shares of the axis, which is logarithmic.
    width = max(math.log(max(sizes) / min(sizes)), math.log(2)) / 0.53
    low, high = min(sizes) * math.exp(-0.15 * width), max(sizes) * math.exp(0.32 * width)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [step * 10.0**power for power in range(-3, 9) for step in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("size, KiB (log scale)")
    heights = [100 * (row.accuracy or 0.0) for row in drawn]
    heights += [100 * target.baseline] if target.baseline is not None else []
    middle, span = (min(heights) + max(heights)) / 2, max(max(heights) - min(heights), NARROWEST_POINTS)
    axes.set_ylim(middle - 0.7 * span, middle + 0.7 * span)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_ylabel(f"{metric_name(target.metric)}, %")
    axes.grid(axis="y", zorder=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, axis="y")


def _limits(axes: "Axes", target: Target) -> None:
    """The float model's accuracy as a line, and the drop that the recipe allows as a band below it."""
    if target.baseline is None:
        return
    allowed = next((gate.limit for gate in target.gates if gate.gate == "max_accuracy_drop" and gate.limit), None)
    baseline = 100 * target.baseline
    if allowed is not None:
        axes.axhspan(baseline - 100 * allowed, baseline, color=svg.BAND, zorder=1, linewidth=0)
    axes.axhline(baseline, color=svg.MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=2)


def _line_box(axes: "Axes", target: Target, discs: list[Disc], frame: Box, scale: float) -> list[Box]:
    """Name the float model's line at the end that has no points; returns what labels must keep clear of."""
    if target.baseline is None:
        return []
    y = float(axes.transData.transform((1, 100 * target.baseline))[1])
    text = axes.annotate(
        f"float model {percent(target.baseline)} %",
        (0, 100 * target.baseline),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2.5),
        textcoords="offset points",
        va="bottom",
        fontsize=8,
        color=svg.MUTED,
    )
    extent = text.get_window_extent()
    left = Box(frame.left, y, frame.left + extent.width, y + extent.height + 3 * scale)
    right = Box(frame.right - extent.width, left.bottom, frame.right, left.top)
    if sum(left.overlap(disc.box()) for disc in discs) > sum(right.overlap(disc.box()) for disc in discs):
        text.xy = (1, 100 * target.baseline)
        text.set_horizontalalignment("right")
        left = right
    return [left, Box(frame.left, y - scale, frame.right, y + scale)]


def _labels(axes: "Axes", target: Target, drawn: tuple[Row, ...], chosen: Row | None, scale: float) -> None:
    """Write each result's name and median beside its point, with a line to it where it had to move away."""
    window = axes.get_window_extent()
    frame = Box(window.x0, window.y0, window.x1, window.y1)
    texts = [
        axes.text(
            0,
            0,
            _label(row),
            fontsize=8.5,
            linespacing=1.15,
            fontweight="bold" if row == chosen else "normal",
        )
        for row in drawn
    ]
    extents = [text.get_window_extent() for text in texts]
    discs = []
    for row, area in zip(drawn, _areas(drawn), strict=True):
        x, y = axes.transData.transform((row.size_kib or 0.0, 100 * (row.accuracy or 0.0)))
        discs.append(Disc(float(x), float(y), scale * (1 + math.sqrt(area / math.pi))))
    boxes = place_labels(
        discs,
        [(extent.width, extent.height) for extent in extents],
        frame,
        taken=_line_box(axes, target, discs, frame, scale),
        gap=3 * scale,
    )
    inverse = axes.transData.inverted()
    for row, text, disc, box in zip(drawn, texts, discs, boxes, strict=True):
        text.set_position(tuple(inverse.transform((box.left, box.bottom))))
        text.set_verticalalignment("bottom")
        text.set_zorder(5)
        x = min(max(disc.x, box.left), box.right)
        y = min(max(disc.y, box.bottom), box.top)
        distance = math.hypot(x - disc.x, y - disc.y)
        if distance > disc.radius + 5 * scale:
            edge = disc.radius / distance
            ends = inverse.transform([(disc.x + edge * (x - disc.x), disc.y + edge * (y - disc.y)), (x, y)])
            axes.plot(ends[:, 0], ends[:, 1], color=svg.MUTED, linewidth=0.7, zorder=2)
        if row.verdict == "failed":
            text.set_color(svg.FAILED)


def _label(row: Row) -> str:
    name = row.artifact.removeprefix("model.")
    lines = [f"{name}, {runtime_name(row.runtime)}"]
    if row.p50_ms is None:
        lines.append("not timed")
    else:
        lines.append(f"{significant(row.p50_ms)} ms{' emulated' if row.emulated else ''}")
    if row.verdict == "failed":
        lines[-1] += ", failed"
    return "\n".join(lines)
