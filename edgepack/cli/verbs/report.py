"""edgepack report: what came out of a run, and what changed since another?"""

from pathlib import Path
from typing import Annotated

import typer


def command(
    out_dir: Annotated[Path, typer.Argument(help="A run's folder: out/<recipe>.")],
    after: Annotated[
        Path | None,
        typer.Argument(help="A second run, or its report.json: what changed from the first to this one?"),
    ] = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(help="First take in what a device measured (repeatable): the JSON that it left."),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Folder of `edgepack bench --history`; default: OUT_DIR/history.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw size, accuracy and latency into this .png or .svg file.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report or the comparison as JSON.")] = False,
) -> int:
    """Write report.md, report.json and report.html from what a run left, or compare two runs."""
    from edgepack.errors import RecipeError

    if json and markdown:
        raise RecipeError("--json and --markdown are two forms of the same, expected one of them", fix="leave one out")
    if after is None:
        return _write(out_dir, add or [], history, picture, markdown=markdown, as_json=json)
    if add or picture or history:
        raise RecipeError(
            "two runs were named, which are compared: --add, --history and --picture are for one run",
            fix="leave them out, or name one run",
        )
    return _compare(out_dir, after, markdown=markdown, as_json=json)


def _write(
    out_dir: Path, files: list[Path], history: Path | None, picture: Path | None, *, markdown: bool, as_json: bool
) -> int:
    from json import loads
    from shlex import quote

    from edgepack.cli.output import print_json, say_next
    from edgepack.measurement import keep
    from edgepack.report import write
    from edgepack.report.adding import add
    from edgepack.report.picture import write_picture
    from edgepack.store import explain_os_errors

    with explain_os_errors(out_dir):
        added = [path for file in files for path in add(file, out_dir, keep)]
        report = write(out_dir, history=history)
        if picture is not None:
            write_picture(report, picture)
    if as_json:
        print_json(loads((out_dir / "report.json").read_text()))
        return 0
    if markdown:
        typer.echo((out_dir / "report.md").read_text(), nl=False)
        return 0
    for path in (*added, *(out_dir / name for name in ("report.html", "report.md", "report.json"))):
        typer.echo(str(path))
    say_next(f"xdg-open {quote(str(out_dir / 'report.html'))}", beside=True)
    return 0


def _compare(before: Path, after: Path, *, markdown: bool, as_json: bool) -> int:
    from edgepack.report import changes
    from edgepack.report.compare import compare, load
    from edgepack.store import explain_os_errors

    with explain_os_errors(before):
        comparison = compare(load(before), load(after))
    if as_json:
        typer.echo(changes.to_json(comparison), nl=False)
    elif markdown:
        typer.echo(changes.to_markdown(comparison), nl=False)
    else:
        from rich.console import Console

        Console(highlight=False, markup=False).print(changes.rich_comparison(comparison))
    return 0
