"""edgepack doctor: is this machine ready, and what will happen to each layer of a model?"""

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    model: Annotated[
        Path | None,
        typer.Argument(help="A .keras or .h5 file, a SavedModel folder, or a recipe; absent = the machine."),
    ] = None,
    custom_objects: Annotated[
        Path | None, typer.Option(help="Python file with the model's own layers and functions.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Examine the environment, or every layer of a model before any training."""
    from rich.table import Table

    from edgepack.cli.output import Progress, print_json, results, say_next
    from edgepack.doctor import examine_environment, examine_model

    out = results()
    if model is not None:
        with Progress(quiet=json, about="doctor") as progress:
            progress.started("doctor", str(model))
            document = examine_model(model, custom_objects)
        if json:
            print_json(document)
            return 0
        table = Table("layer", "class", "quantisation", "pruning", "rewrite", "why", box=None, pad_edge=False)
        for row in document["layers"]:
            reasons = dict.fromkeys((row["quantisation_reason"], row["pruning_reason"]))
            why = "; ".join(text for text in reasons if text)
            rewrite = ", ".join(row["rewrite"])
            table.add_row(row["layer"], row["class"], row["quantisation"], row["pruning"], rewrite, why)
        out.print(table)
        loaded = document["loaded"]
        if loaded and loaded["max_abs_difference"] is not None:
            moved = f"outputs move by at most {loaded['max_abs_difference']:.1e} on random input"
            out.print(f"saved by Keras {loaded['keras']} and rebuilt in Keras 2: {moved}")
        for line in _rewrites(document["rewrites"]):
            out.print(line)
        out.print(_summary(document["layers"]))
        say_next(_after(model))
        return 0
    document = examine_environment()
    if json:
        print_json(document)
        return 0
    table = Table("", "", "", box=None, pad_edge=False, show_header=False)
    for check in document["checks"]:
        table.add_row({"ok": "✓", "missing": "✗", "note": "·"}[check["status"]], check["name"], check["text"])
    out.print(table)
    say_next("edgepack init", "edgepack run examples/digits/recipe.yaml")
    return 0


def _after(model: Path) -> str:
    """The command that takes a model on."""
    from shlex import quote

    if model.suffix in (".yaml", ".yml"):
        return f"edgepack run {quote(str(model))}"
    return f"edgepack init --model {quote(str(model))}"


def _rewrites(rewrites: list[dict[str, Any]]) -> list[str]:
    """One line for each rewrite: how often it is made and how far the outputs move, or why it is not made."""
    lines = []
    for item in rewrites:
        if item["made"]:
            moved = f"outputs move by at most {item['max_abs_difference']:.1e} on random input"
            lines.append(f"rewrite {item['rewrite']}: {item['applications']} times; {moved}")
        else:
            lines.append(f"rewrite {item['rewrite']}: not made: {item['reason']}")
    return lines


def _summary(layers: list[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer["quantisation"]] = counts.get(layer["quantisation"], 0) + 1
    rewritten = sum(bool(layer["rewrite"]) for layer in layers)
    text = f"{len(layers)} layers: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{text}; {rewritten} rewritten before" if rewritten else text
