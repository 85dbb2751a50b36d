"""edgepack run: from a recipe to bundles."""

import os
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

StageName = Literal["data", "train", "compress", "export", "verify", "image", "bench", "report"]


def command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    target: Annotated[
        list[str] | None, typer.Option(help="Target name or file; repeatable. Replaces the recipe's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("out"),
    from_: Annotated[StageName | None, typer.Option("--from", help="Run this stage and all later ones again.")] = None,
    to: Annotated[StageName, typer.Option(help="Stop after this stage.")] = "report",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key, e.g. training.epochs=3."),
    ] = None,
    base_image: Annotated[
        str | None,
        typer.Option(envvar="EDGEPACK_BASE_IMAGE", help="Base image, instead of each target's own."),
    ] = None,
    smoke: Annotated[bool, typer.Option(help="One epoch on a few samples, to see that everything works.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on standard output.")] = False,
) -> int:
    """Train, compress, export, verify, package, measure and report, as a recipe says."""
    from edgepack.cli.output import Progress, console, error_document, print_json
    from edgepack.pipeline import run
    from edgepack.plan import make_plan
    from edgepack.training import cluster

    begun = time.monotonic()
    plan = make_plan(
        recipe,
        out=out,
        target_names=target or (),
        overrides=set_ or (),
        smoke=smoke,
        from_stage=from_,
        to_stage=to,
        base_image=base_image,
    )
    machines = cluster.of(plan.recipe.training, os.environ)
    along = machines is not None and not machines.is_chief
    with Progress(quiet=json, about=f"{recipe.resolve()}{' --smoke' if smoke else ''}") as progress:
        outcome = run(plan, progress, only_trains=along)
    if json:
        print_json(_document(outcome.folder, [error_document(error) for error in outcome.errors], outcome.worked))
    elif machines is not None and along:
        console().print(
            f"worker {machines.index} of {len(machines.workers)} has done its part; "
            f"the results are with worker 0 ({machines.workers[0]})"
        )
    elif to == "report":
        _show(outcome.folder)
    err = console()
    for error in outcome.errors:
        err.print(f"error: {error}", markup=False, style="red", soft_wrap=True)
    if not outcome.worked and not outcome.errors:
        err.print(f"nothing to do: every result was up to date ({time.monotonic() - begun:.1f} s)")
    return outcome.errors[0].exit_code if outcome.errors else 0


def _document(folder: Path, errors: list[dict[str, object]], worked: bool) -> dict[str, object]:
    from json import loads

    path = folder / "report.json"
    report = loads(path.read_text()) if path.exists() else None
    return {
        "schema": "edgepack.result/1",
        "folder": str(folder),
        "worked": worked,
        "errors": errors,
        "report": report,
    }


def _show(folder: Path) -> None:
    from shlex import quote

    from rich.console import Console

    from edgepack.report import collect, next_commands
    from edgepack.report.console import rich_table
    from edgepack.training_logs import FOLDER

    report = collect(folder)
    width = None if os.isatty(1) else 140
    out = Console(highlight=False, width=width)
    out.print(rich_table(report))
    out.print(f"\nreport: {folder / 'report.html'}", soft_wrap=True)
    if (folder / FOLDER).is_dir():
        out.print(f"curves: tensorboard --logdir {quote(str(folder / FOLDER))}", soft_wrap=True, markup=False)
    out.print("\nnext:")
    for line in next_commands(report):
        out.print(f"  {line}", soft_wrap=True, markup=False)
