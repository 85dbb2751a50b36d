"""edgepack verify: is a bundle whole, and does it still answer as it did?"""

from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle: out/<recipe>/<target>.")],
    on: Annotated[
        str,
        typer.Option(
            help="Where golden samples run: local, docker (the bundle's image), docker:IMAGE, ssh://[USER@]HOST[:PORT] "
            "or board."
        ),
    ] = "local",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Check hashes, golden samples and gates of a bundle; runs anywhere, any time."""
    from shlex import quote

    from edgepack.checks import check_bundle
    from edgepack.cli.output import Progress, print_json, results, say_next

    with Progress(quiet=json, about="verify") as progress:
        progress.started("verify", f"{bundle} {on}")
        result = check_bundle(
            bundle, on, say=lambda text: progress.progress("verify", {"label": "verify", "text": text})
        )
    if json:
        print_json(result)
        return 0
    out = results()
    out.print(f"files    {result['files']} whole")
    where = " (emulated)" if result["environment"]["emulated"] else ""
    for item in result["golden"]:
        same = (
            "identical" if item["identical"] else f"within tolerance (max difference {item['max_abs_difference']:.3g})"
        )
        out.print(f"golden   {item['artifact']} with {item['runtime']}: {same}{where}", soft_wrap=True)
    for gate in result["gates"]:
        out.print(f"gate     {gate['artifact']} {gate['gate']}: {gate['status']}")
    out.print("verified")
    where_next = "" if on == "local" else f" --on {quote(on)}"
    say_next(f"edgepack bench {quote(str(bundle))}{where_next}")
    return 0
