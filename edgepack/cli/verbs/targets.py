"""edgepack targets: where can a model go?"""

import shlex
from typing import Annotated, Any

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="One target, name or file; absent = list all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the targets, or show one with every field explained."""
    from rich.table import Table

    from edgepack.cli.output import print_json, results, say_next
    from edgepack.target import load, shipped

    out = results()
    if name is None:
        found = [load(known) for known in shipped()]
        if json:
            print_json([target.resolved() for target in found])
            return 0
        table = Table("target", "platform", "runtimes", "precisions", "description", box=None, pad_edge=False)
        for target in found:
            table.add_row(
                target.name,
                target.platform,
                ", ".join(target.runtimes),
                ", ".join(target.precisions),
                target.description,
            )
        out.print(table)
        say_next("edgepack targets NAME", "edgepack init --target NAME")
        return 0
    target = load(name)
    if json:
        print_json(target.resolved())
        return 0
    table = Table("field", "value", "meaning", box=None, pad_edge=False)
    for field, value, meaning in _fields(target):
        table.add_row(field, value, meaning)
    out.print(table)
    say_next(f"edgepack init --target {shlex.quote(name)}")
    return 0


def _fields(model: Any, prefix: str = "") -> list[tuple[str, str, str]]:
    """(key, value, meaning) of every field of a configuration and of those inside it."""
    from pydantic import BaseModel

    rows = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            rows.extend(_fields(value, f"{prefix}{name}."))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else "-" if value is None else str(value)
            rows.append((f"{prefix}{name}", shown, field.description or ""))
    return rows
