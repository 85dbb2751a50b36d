"""edgepack plan: what a recipe would do, with every default filled in."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    target: Annotated[list[str] | None, typer.Option(help="Target name or file; repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("out"),
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> int:
    """Show the resolved plan; runs nothing."""
    import sys
    from shlex import quote

    from edgepack.cli.output import print_json, say_next
    from edgepack.plan import describe, make_plan

    document = describe(make_plan(recipe, out=out, target_names=target or (), overrides=set_ or ()))
    if json:
        print_json(document)
        return 0
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 100
    yaml.default_flow_style = False
    yaml.dump(document, sys.stdout)
    say_next(f"edgepack run {quote(str(recipe))}", beside=True)
    return 0
