"""What does a run look like as one page that needs nothing but itself?"""

import dataclasses
from typing import Any

from edgepack.report import firmware, formatting
from edgepack.report.cells import FORMATS, GLYPHS, cell, place
from edgepack.report.commands import next_commands, run_command
from edgepack.report.facts import flags, interval_text, placed
from edgepack.report.layers_view import files_of, total_kib
from edgepack.report.limits import limits_of, missed, other_misses
from edgepack.report.matrix import matrix_of
from edgepack.report.paid import TITLE, columns, paid
from edgepack.report.schema import Report, Row, Scalar, Step, Target, Verdict
from edgepack.report.surroundings import known, surroundings
from edgepack.report.table import footnotes, remarks, rows, verdicts
from edgepack.report.trade import alternative

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
    import markupsafe

    from edgepack.report.curves import curves
    from edgepack.report.distribution import distributions
    from edgepack.report.hover import Chart
    from edgepack.report.past import histories
    from edgepack.report.picture import drawable, pictures
    from edgepack.report.steps_picture import step_charts

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
        total_kib=total_kib,
        interval=interval_text,
        placed=placed,
    )

    def safe(charts: tuple[Chart, ...]) -> list[Chart]:
        """Charts are made here with every text escaped, so the template may print them as they are."""
        return [dataclasses.replace(chart, svg=markupsafe.Markup(chart.svg)) for chart in charts]  # noqa: S704

    table = rows(report)
    chosen = verdicts(report)
    shown = {
        "pictures": safe(pictures(report)),
        "curves": safe(curves(report)),
        "distributions": safe(distributions(report)),
        "flags": flags(report),
        "histories": safe(histories(report)),
        "step_charts": safe(step_charts(report)),
        "steps": [(step, comparisons(step, report.metric), _tally(step)) for step in report.steps],
        "paid": paid(report),
        "files": {target.name: files_of(target) for target in report.targets},
        "images": [
            _image(target) for target in report.targets if target.image.status != "missing" or not target.firmware
        ],
    }
    return environment.get_template("report.html.j2").render(
        report=report,
        verdicts=[_verdict(report, verdict, table) for verdict in chosen],
        best=[verdict.row for verdict in chosen],
        table=table,
        columns=[(field, name, unit.format(metric=formatting.unit_of(report.metric))) for field, name, unit in COLUMNS],
        merit=formatting.sentence_start(report.metric),
        notes=footnotes(table),
        remarks=[remark for remark in remarks(table) if remark[0] != "failed"],
        cell=cell,
        place=place,
        glyphs=GLYPHS,
        not_drawn=[row for row in table if row not in drawable(table, row.target)],
        paid_columns=[(formatting.sentence_start(name), unit) for name, unit in columns(report)],
        paid_title=TITLE,
        matrices={target.name: matrix_of(target) for target in report.targets},
        firmware_columns=firmware.COLUMNS,
        firmware_cells=firmware.cells,
        reproduce=run_command(report, smoke=report.smoke),
        commands=next_commands(report),
        parts=_parts(report, table, shown),
        surroundings=surroundings(report),
        known=known(report),
        **shown,
    )


def _parts(report: Report, table: tuple[Row, ...], shown: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """(id, title, whether it is there) of the page's sections, in their order."""
    targets = report.targets
    return [
        ("results", "Results", bool(table)),
        ("latency", "Latency", bool(shown["distributions"])),
        ("history", "History", bool(shown["histories"])),
        ("compression", "Compression", bool(shown["steps"] or shown["paid"])),
        ("curves", "Learning curves", bool(shown["curves"])),
        ("verification", "Parity", any(target.checks or target.pairs or target.gates for target in targets)),
        ("layers", "Layers", any(shown["files"].values())),
        ("features", "Features", report.selection is not None),
        ("images", "Images", bool(shown["images"])),
        ("firmware", "Firmware", any(target.firmware for target in targets)),
        ("reproduce", "Make it again", True),
        ("environment", "Environment", True),
    ]


def _verdict(report: Report, verdict: Verdict, table: tuple[Row, ...]) -> dict[str, Any]:
    """A verdict with the figures that it rests on, its limits as bars, and what else could be shipped."""
    target = next(target for target in report.targets if target.name == verdict.target)
    return {
        "verdict": verdict,
        "stats": _stats(verdict),
        "limits": limits_of(target, verdict.row) if verdict.row else (),
        "missed": missed(target),
        "misses": other_misses(target, table),
        "alternative": alternative(verdict, table),
    }


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
