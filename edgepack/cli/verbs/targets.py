"""edgepack targets: where can a model go?"""

from typing import Annotated, Any

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="One target, name or file; absent = list all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the targets, or show one with every field explained."""
    from rich.console import Console
    from rich.table import Table

    from edgepack.cli.output import print_json
    from edgepack.target import Target, load, shipped

    out = Console(highlight=False)
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
        return 0
    target = load(name)
    if json:
        print_json(target.resolved())
        return 0
    table = Table("field", "value", "meaning", box=None, pad_edge=False)
    for field, value, meaning in _fields(Target, target.resolved()):
        table.add_row(field, value, meaning)
    out.print(table)
    return 0


def _fields(model: Any, values: dict[str, Any], prefix: str = "") -> list[tuple[str, str, str]]:
    rows = []
    for name, field in model.model_fields.items():
        value = values[name]
        if isinstance(value, dict):
            rows.extend(_fields(field.annotation, value, f"{prefix}{name}."))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
            rows.append((f"{prefix}{name}", shown, field.description or ""))
    return rows
