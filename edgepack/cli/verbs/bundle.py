"""edgepack bundle: how does a bundle get to a board that no network reaches?"""

from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle: out/<recipe>/<target>.")],
    offline: Annotated[Path, typer.Option(help="Folder to write: copy it to the board and run ./bench there.")],
    platform: Annotated[
        str | None, typer.Option(help="The board's platform, as linux/arm64; default: the bundle's.")
    ] = None,
    python: Annotated[str, typer.Option(help="Version of the board's python3.")] = "3.11",
    quick: Annotated[bool, typer.Option("--quick", help="./bench only shows that measuring works.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write one folder that verifies and measures a bundle on an air-gapped board, with nothing but its python3."""
    from edgepack import offline as folders
    from edgepack.cli.output import Progress, print_json
    from edgepack.store import explain_os_errors

    with Progress(quiet=json) as progress, explain_os_errors(offline):
        progress.started("bundle", str(bundle))
        made = folders.write(
            bundle,
            offline,
            platform=platform,
            python_version=python,
            quick=quick,
            say=lambda text: progress.progress("bundle", {"label": "bundle", "text": text}),
        )
    if json:
        print_json(
            {
                "schema": "edgepack.offline/1",
                "folder": str(made.folder),
                "size_bytes": made.size_bytes,
                "packages": list(made.packages),
                "platform": made.platform,
                "python": made.python_version,
            }
        )
        return 0
    typer.echo(
        f"{made.folder}: {made.size_bytes / 2**20:.1f} MiB for {made.platform} with Python {made.python_version}"
    )
    typer.echo(
        f"copy it to the board, run ./bench there, then: edgepack report {bundle.parent} --add latency-NAME.json"
    )
    return 0
