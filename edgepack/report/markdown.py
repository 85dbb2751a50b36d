"""What does a run look like in a pull request: the verdict first, then one table?"""

from edgepack.report import firmware
from edgepack.report.cells import EMPTY, GLYPHS, cell, place
from edgepack.report.commands import next_commands
from edgepack.report.facts import interval_text, placed
from edgepack.report.formatting import runtime_name, significant, unit_of
from edgepack.report.paid import TITLE, columns, paid
from edgepack.report.schema import Report, Row
from edgepack.report.table import footnotes, remarks, rows, verdicts
from edgepack.report.trade import alternative

COLUMNS = (
    ("target", "---"),
    ("artifact", "---"),
    ("runtime", "---"),
    ("KiB", "---:"),
    ("float {metric}", "---:"),
    ("artifact {metric}", "---:"),
    ("drop", "---:"),
    ("p50 ms", "---:"),
    ("p90 ms", "---:"),
    ("measured", "---"),
    ("image MiB", "---:"),
    ("verdict", "---"),
)
QUANTITIES_BEFORE = ("size_kib", "accuracy_float", "accuracy", "drop_points", "p50_ms", "p90_ms")
SPECIAL = "\\`*_{}[]<>|#~$"


def to_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown, which other renderers read as well."""
    table = rows(report)
    notes = footnotes(table)
    lines = [f"## {escape(report.name)}: edgepack report", ""]
    if report.smoke:
        lines += ["**Smoke run**: a moment's work on a few samples, its numbers mean nothing.", ""]
    for verdict in verdicts(report):
        sentence = f"**{escape(verdict.headline)}.** {escape(verdict.why)}"
        other = alternative(verdict, table)
        lines.append(
            f"- {GLYPHS[verdict.status]} **{escape(verdict.target)}**: {sentence}{escape(f' {other}') if other else ''}"
        )
        lines += [f"  - missed: {escape(miss)}" for miss in verdict.misses]
    lines += [f"- {escape(gap.where)}: {escape(gap.reason)}" for gap in report.gaps]
    lines.append("")
    if table:
        lines.append("| " + " | ".join(name.format(metric=unit_of(report.metric)) for name, _ in COLUMNS) + " |")
        lines.append("| " + " | ".join(rule for _, rule in COLUMNS) + " |")
        lines += [_line(row, notes) for row in table]
        accuracies = "Accuracies" if report.metric == "accuracy" else report.metric
        lines += ["", f"{accuracies} in percent, drop in percentage points against the float model.", ""]
        lines += [f"{index}. {escape(note)}" for index, note in enumerate(notes, start=1)]
        lines += [""] if notes else []
        # What failed stands on top already.
        open_questions = [(who, reason) for verdict, who, reason in remarks(table) if verdict == "not judged"]
        lines += [f"- not judged: {escape(who)}: {escape(reason)}" for who, reason in open_questions]
        lines += [""] if open_questions else []
    lines += _devices(report)
    lines += _features(report)
    lines += _paid(report)
    lines += _firmware(report)
    lines += [f"- {escape(step.use)}: {escape(text)}" for step in report.steps for text in step.warnings]
    lines += [""] if any(step.warnings for step in report.steps) else []
    commands = next_commands(report)
    if commands:
        lines += ["Next:", "", "```sh", *(command.replace("\n", " ") for command in commands), "```", ""]
    return "\n".join(lines)


def _devices(report: Report) -> list[str]:
    """What other devices measured, as lines; none when there are none."""
    measured = [(t, d, x) for t in report.targets for d in t.devices for x in d.latencies if x.status == "ok"]
    if not measured:
        return []
    lines = ["Other devices; simulated and emulated times are compared with nothing:", ""]
    lines += ["| target | device | artifact | runtime | p50 ms | 95 % interval | p90 ms | ran on | flags |"]
    lines += ["| --- | --- | --- | --- | ---: | ---: | ---: | --- | --- |"]
    for target, device, x in measured:
        words = (("simulated", device.simulated), ("emulated", device.emulated))
        name = ", ".join([device.name, *(word for word, true in words if true)])
        flags = [flag.kind for flag in x.flags if flag.kind not in ("simulated", "emulated")]
        flags += ["unstable"] if x.stable is False and "unstable" not in flags else []
        figures = [EMPTY if value is None else significant(value) for value in (x.p50_ms, x.p90_ms)]
        cells = [escape(target.name), escape(name), escape(x.artifact), escape(runtime_name(x.runtime))]
        cells += [
            figures[0],
            interval_text(x) or EMPTY,
            figures[1],
            escape(placed(x) or EMPTY),
            escape(", ".join(flags)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _firmware(report: Report) -> list[str]:
    """The source for firmware of each artifact, as lines; none when no target has any."""
    packages = [(target, package) for target in report.targets for package in target.firmware]
    if not packages:
        return []
    names = ["target", "artifact", *(f"{name} {unit}".strip() for name, unit in firmware.COLUMNS)]
    rules = ["---", "---", *("---:" for _ in firmware.COLUMNS)]
    lines = [
        "Source for firmware; working memory as on this machine, an NPU's figures as its compiler estimates them:",
        "",
    ]
    lines += [f"| {' | '.join(names)} |", f"| {' | '.join(rules)} |"]
    for target, package in packages:
        lines.append("| " + " | ".join([escape(target.name), code(package.artifact), *firmware.cells(package)]) + " |")
    return [*lines, ""]


def _features(report: Report) -> list[str]:
    """A sentence about the columns that were chosen, as lines; none when every column was taken."""
    selection = report.selection
    if selection is None:
        return []
    count = f"{len(selection.chosen)} of {len(selection.features)} columns, chosen by {escape(selection.use)}"
    return [f"Features: {count}: {', '.join(escape(name) for name in selection.chosen)}.", ""]


def _paid(report: Report) -> list[str]:
    """The table of what each step paid, as lines; none when nothing was weighed."""
    table = paid(report)
    if not table:
        return []
    names = ["step", "file", *(f"{name} {unit}" for name, unit in columns(report))]
    lines = [f"{TITLE}, as a `.tflite` file; latency in LiteRT on the machine that made it:", ""]
    lines.append("| " + " | ".join(names) + " |")
    lines.append("| --- | --- | " + " | ".join("---:" for _ in columns(report)) + " |")
    lines += ["| " + " | ".join([escape(line.step), escape(line.precision), *line.cells]) + " |" for line in table]
    reasons = [f"- {escape(line.step)}: {escape(line.reason)}" for line in table if line.reason]
    return [*lines, "", *reasons, *([""] if reasons else [])]


def escape(text: str) -> str:
    """Text that stays what it is in a table cell: one line, nothing read as Markdown or HTML.

    An underscore inside a word, as in a gate's name, means nothing there and stays readable.
    """
    escaped = []
    for index, character in enumerate(text):
        inside_word = text[index - 1 : index].isalnum() and text[index + 1 : index + 2].isalnum()
        if character in SPECIAL and not (character == "_" and inside_word):
            escaped.append("\\")
        escaped.append(" " if character in "\r\n\t" else character)
    return "".join(escaped)


def code(text: str) -> str:
    """Text as code in a table cell, without what would end either."""
    return f"`{' '.join(text.replace('`', '').replace('|', '').split()) or ' '}`"


def _line(row: Row, notes: tuple[str, ...]) -> str:
    def quantity(field: str) -> str:
        mark = f" ({notes.index(row.missing[field]) + 1})" if field in row.missing else ""
        return cell(row, field) + mark

    cells = [
        escape(row.target),
        code(row.artifact),
        escape(runtime_name(row.runtime)),
    ]
    cells += [quantity(field) for field in QUANTITIES_BEFORE]
    cells += [place(row), quantity("image_mib"), f"{GLYPHS[row.verdict]} {row.verdict}"]
    return "| " + " | ".join(cell.replace("\n", " ") for cell in cells) + " |"
