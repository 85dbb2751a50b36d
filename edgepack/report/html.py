"""What does a run look like as one page that needs nothing but itself?"""

from typing import Any

from edgepack.report import firmware, formatting
from edgepack.report.cells import FORMATS, GLYPHS, cell, place
from edgepack.report.commands import next_commands, run_command
from edgepack.report.paid import TITLE, columns, paid
from edgepack.report.schema import Report, Scalar, Step, Target, Verdict
from edgepack.report.table import footnotes, remarks, rows, verdicts

COLUMNS = (
    ("size_kib", "Size", "KiB"),
    ("accuracy_float", "Float", "{metric}"),
    ("accuracy", "Artifact", "{metric}"),
    ("drop_points", "Drop", "points"),
    ("p50_ms", "p50", "ms"),
    ("p90_ms", "p90", "ms"),
)
LARGEST_PACKAGES = 12


def to_html(report: Report) -> str:
    """The report as one HTML page: no script, no font, no picture from elsewhere."""
    import jinja2

    from edgepack.report.curves import curves
    from edgepack.report.distribution import distributions
    from edgepack.report.picture import drawable, pictures

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgepack.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        significant=formatting.significant,
        percent=formatting.percent,
        points=formatting.points,
        seconds=formatting.seconds,
        scalar=formatting.scalar,
        runtime=formatting.runtime_name,
        limit=formatting.limit_text,
        count=formatting.count,
        compact=formatting.compact,
        metric=metric_text,
    )
    table = rows(report)
    return environment.get_template("report.html.j2").render(
        report=report,
        verdicts=verdicts(report),
        stats={verdict.target: _stats(verdict) for verdict in verdicts(report)},
        table=table,
        columns=[(field, name, unit.format(metric=formatting.unit_of(report.metric))) for field, name, unit in COLUMNS],
        merit=formatting.sentence_start(report.metric),
        notes=footnotes(table),
        remarks=[remark for remark in remarks(table) if remark[0] != "failed"],
        cell=cell,
        place=place,
        glyphs=GLYPHS,
        pictures=_safe(pictures(report)),
        not_drawn=[row for row in table if row not in drawable(table, row.target)],
        curves=_safe(curves(report)),
        distributions=_safe(distributions(report)),
        steps=[(step, comparisons(step, report.metric), _tally(step)) for step in report.steps],
        paid=paid(report),
        paid_columns=[(formatting.sentence_start(name), unit) for name, unit in columns(report)],
        paid_title=TITLE,
        images=[_image(target) for target in report.targets if target.image.status != "missing" or not target.firmware],
        firmware_columns=firmware.COLUMNS,
        firmware_cells=firmware.cells,
        reproduce=run_command(report, smoke=report.smoke),
        commands=next_commands(report),
    )


def _safe(charts: tuple[tuple[str, str], ...]) -> list[tuple[str, Any]]:
    """Charts are made here with every text escaped, so the template may print them as they are."""
    import markupsafe

    return [(title, markupsafe.Markup(chart)) for title, chart in charts]  # noqa: S704  # svg.inline escapes


def _stats(verdict: Verdict) -> list[tuple[str, str, str]]:
    """(name, value, unit) of the figures that a verdict rests on."""
    row = verdict.row
    if row is None:
        return []
    named = (
        ("Size", "size_kib", "KiB"),
        (formatting.sentence_start(formatting.metric_name(row.metric)), "accuracy", "%"),
        ("Drop", "drop_points", "points"),
        ("Median latency", "p50_ms", "ms"),
        ("Image", "image_mib", "MiB"),
    )
    return [
        (name, FORMATS[field](getattr(row, field)), unit)
        for name, field, unit in named
        if getattr(row, field) is not None
    ]


def metric_text(name: str, value: Scalar) -> str:
    """One metric of a compression step, in the unit that its name tells."""
    last = name.rsplit(".", 1)[-1]
    if isinstance(value, float | int) and not isinstance(value, bool):
        if any(word in last for word in ("accuracy", "sparsity", "agreement", "fraction")):
            return f"{formatting.percent(value)} %"
        if last.endswith("_bytes"):
            return f"{formatting.significant(value / 1024)} KiB"
        if isinstance(value, int):
            return f"{value:,}"
        return formatting.limit_text(last, value)
    return formatting.scalar(value)


def comparisons(step: Step, merit: str) -> list[tuple[str, str | None, str]]:
    """(metric, before, after) of a step; before is None for a metric that only exists after it."""
    found: list[tuple[str, str | None, str]] = []
    for name, value in step.metrics.items():
        stem = name.removesuffix("_after").removesuffix("_before")
        if name.endswith("_before") and f"{stem}_after" in step.metrics:
            continue
        before = step.metrics.get(f"{stem}_before") if name.endswith("_after") else None
        title = stem if name.endswith("_after") else name
        found.append(
            (
                title.replace("_", " ").replace(".", ": ").replace("val accuracy", f"validation {merit}"),
                None if before is None else metric_text(stem, before),
                metric_text(stem, value),
            )
        )
    return found


def _tally(step: Step) -> str:
    """How many layers went which way: "9 quantised, 2 passed through"."""
    counts: dict[str, int] = {}
    for layer in step.layers:
        counts[layer.status] = counts.get(layer.status, 0) + 1
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _image(target: Target) -> dict[str, Any]:
    """The image of a target with its layers and packages as shares of the largest one, for bars."""
    layers = [(layer.name, layer.size_mib) for layer in target.image.layers]
    packages = [
        (f"{package.name} {package.version or ''}".strip(), (package.size_bytes or 0) / 2**20 or None)
        for package in sorted(target.image.packages, key=lambda package: -(package.size_bytes or 0))
    ]
    return {
        "target": target,
        "layers": _bars(layers),
        "packages": _bars(packages)[:LARGEST_PACKAGES],
        "others": _bars(packages)[LARGEST_PACKAGES:],
    }


def _bars(items: list[tuple[str, float | None]]) -> list[tuple[str, float | None, float]]:
    """(name, MiB, width of its bar in percent)."""
    largest = max((size for _, size in items if size), default=1.0)
    return [(name, size, round(100 * (size or 0) / largest, 1)) for name, size in items]
