"""edgepack doctor: is this machine ready, and what will happen to each layer of a model?"""

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    model: Annotated[
        Path | None,
        typer.Argument(help="A .keras or .h5 file, a SavedModel folder, or a recipe; absent = the machine."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Examine the environment, or every layer of a model before any training."""
    from rich.console import Console
    from rich.table import Table

    from edgepack.cli.output import print_json
    from edgepack.doctor import examine_environment, examine_model

    out = Console(highlight=False)
    if model is not None:
        document = examine_model(model)
        if json:
            print_json(document)
            return 0
        table = Table("layer", "class", "quantisation", "pruning", "why", box=None, pad_edge=False)
        for row in document["layers"]:
            why = "; ".join(text for text in (row["quantisation_reason"], row["pruning_reason"]) if text)
            table.add_row(row["layer"], row["class"], row["quantisation"], row["pruning"], why)
        out.print(table)
        out.print(_summary(document["layers"]))
        return 0
    document = examine_environment()
    if json:
        print_json(document)
        return 0
    table = Table("", "", "", box=None, pad_edge=False, show_header=False)
    for check in document["checks"]:
        table.add_row({"ok": "✓", "missing": "✗", "note": "·"}[check["status"]], check["name"], check["text"])
    out.print(table)
    return 0


def _summary(layers: list[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer["quantisation"]] = counts.get(layer["quantisation"], 0) + 1
    return f"{len(layers)} layers: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
