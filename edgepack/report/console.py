"""What does a run look like in a terminal of 100 columns?"""

from typing import TYPE_CHECKING

from edgepack.report.cells import EMPTY, GLYPHS, cell
from edgepack.report.formatting import unit_of
from edgepack.report.paid import TITLE, columns, paid
from edgepack.report.schema import Report, Row
from edgepack.report.table import footnotes, remarks, rows

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

STYLES = {"ok": "green", "failed": "red", "not judged": "yellow"}
QUANTITIES = (
    ("size_kib", "KiB"),
    ("accuracy_float", "float\n{metric}"),
    ("accuracy", "edge\n{metric}"),
    ("drop_points", "drop\npts"),
    ("p50_ms", "p50\nms"),
    ("p90_ms", "p90\nms"),
)


def rich_table(report: Report) -> "Group":
    """The final table for 100 columns, below it the reasons of its empty cells and of its verdicts."""
    from rich.console import Group
    from rich.text import Text

    table = rows(report)
    notes = footnotes(table)
    below = [Text(f" {index} {note}", style="dim") for index, note in enumerate(notes, start=1)]
    below += [
        Text.assemble((f" {GLYPHS[verdict]} ", STYLES[verdict]), f"{who}: ", (reason, "dim"))
        for verdict, who, reason in remarks(table)
    ]
    return Group(_table(report, table, notes), *below, *_paid(report))


def _table(report: Report, table: tuple[Row, ...], notes: tuple[str, ...]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    grid.add_column("target\n  artifact", overflow="fold")
    grid.add_column("runtime", overflow="fold")
    for _, heading in QUANTITIES:
        grid.add_column(heading.format(metric=unit_of(report.metric)), justify="right", no_wrap=True)
    grid.add_column("where", overflow="fold")
    grid.add_column("image\nMiB", justify="right", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    for target in report.targets:
        lines = [row for row in table if row.target == target.name]
        # One line names the target and its image, which all of its artifacts share.
        image = _quantity(lines[0], "image_mib", notes) if lines else Text(EMPTY)
        grid.add_row(Text(target.name, style="bold"), *[""] * (len(QUANTITIES) + 2), image, "")
        for row in lines:
            grid.add_row(
                # Most files are called model.*; without that the table fits into 100 columns.
                Text(f"  {row.artifact.removeprefix('model.')}"),
                Text(row.runtime),
                *[_quantity(row, field, notes) for field, _ in QUANTITIES],
                Text("emulated" if row.emulated else row.where or EMPTY),
                "",
                Text(f"{GLYPHS[row.verdict]} {row.verdict}", style=STYLES[row.verdict]),
            )
    return grid


def _paid(report: Report) -> "list[Table | Text]":
    """What each step paid, below the results; nothing when nothing was weighed."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = paid(report)
    if not lines:
        return []
    grid = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    grid.add_column(f"{TITLE.lower()}\n  step", overflow="fold")
    grid.add_column("file", overflow="fold")
    for name, unit in columns(report):
        grid.add_column(f"{name.replace('validation ', 'val. ')}\n{unit}", justify="right", no_wrap=True)
    for line in lines:
        grid.add_row(Text(f"  {line.step}"), Text(line.precision), *line.cells)
    reasons = [Text(f" {line.step}: {line.reason}", style="dim") for line in lines if line.reason]
    return [Text(""), grid, *reasons]


def _quantity(row: Row, field: str, notes: tuple[str, ...]) -> "Text":
    from rich.text import Text

    mark = f" {notes.index(row.missing[field]) + 1}" if field in row.missing else ""
    return Text.assemble(cell(row, field), (mark, "dim"))
