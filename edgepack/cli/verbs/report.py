"""edgepack report: what came out of a run?"""

from pathlib import Path
from typing import Annotated

import typer


def command(
    out_dir: Annotated[Path, typer.Argument(help="A run's folder: out/<recipe>.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw size, accuracy and latency into this .png or .svg file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Write report.md, report.json and report.html from what a run left."""
    from json import loads

    from edgepack.cli.output import print_json
    from edgepack.report import write
    from edgepack.report.picture import write_picture
    from edgepack.store import explain_os_errors

    with explain_os_errors(out_dir):
        report = write(out_dir)
        if picture is not None:
            write_picture(report, picture)
    if json:
        print_json(loads((out_dir / "report.json").read_text()))
        return 0
    for name in ("report.html", "report.md", "report.json"):
        typer.echo(str(out_dir / name))
    return 0
