"""edgepack models: which architectures are there, and what do they cost?"""

from typing import Annotated, Any

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="One architecture, with its keys; absent = all.")] = None,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="SHAPE", help="Count for another input, e.g. 96x96x3 or 30.")
    ] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Count for another number of classes.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Count with another argument, e.g. width=0.5; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the architectures of the zoo with parameters, operations and size of their weights."""
    from edgepack import catalogue
    from edgepack.cli.output import Progress, print_json, results, say_next
    from edgepack.errors import RecipeError
    from edgepack.yamlfile import parse_pair

    if set_ and name is None:
        raise RecipeError("--set needs an architecture", fix="e.g. edgepack models mobilenet_v2 --set width=0.5")
    if input_ or classes or set_:
        with Progress(quiet=json, about="models") as progress:
            progress.started("models", name or "all")
            document = catalogue.counted(
                name,
                input_shape=_shape(input_),
                classes=classes,
                args=dict(parse_pair(text, example="width=0.5") for text in set_ or ()),
            )
    else:
        document = catalogue.published(name)
    document |= {"keys": catalogue.keys(name)} if name else {}
    if json:
        print_json(document)
        return 0
    out = results()
    out.print(_figures(document["models"]))
    out.print("sizes are those of the weights alone; a .tflite file adds its graph, and in int8 the scales")
    if name:
        out.print()
        out.print(_keys(document["keys"]) if document["keys"] else "no arguments")
    say_next(f"edgepack init --model {name}" if name else "edgepack models NAME --input 96x96x3 --classes 10")
    return 0


def _shape(text: str | None) -> list[int] | None:
    from edgepack.errors import RecipeError

    sizes = text.split("x") if text else []
    if not all(size.isdecimal() and int(size) for size in sizes):
        raise RecipeError(f"--input expected sizes with x between them, received {text!r}", fix="e.g. --input 96x96x3")
    return [int(size) for size in sizes] or None


def _figures(models: list[dict[str, Any]]) -> Any:
    """One row for each model."""
    from rich.table import Table

    from edgepack.report.formatting import significant

    table = Table("zoo", "args", "published as", "input", box=None, pad_edge=False)
    for title in ("classes", "parameters", "MACs, M", "float32, KiB", "int8, KiB"):
        table.add_column(title, justify="right")
    for model in models:
        shape = "x".join(map(str, model["input_shape"] or ())) or "-"
        args = ", ".join(f"{key}: {value}" for key, value in model["args"].items())
        if model["parameters"] is None:
            table.add_row(model["zoo"], args, model["reason"] or "-", shape, _count(model["classes"]), *4 * ["-"])
            continue
        figures = (significant(model["macs"] / 1e6), f"{model['float32_kib']:,.1f}", f"{model['int8_kib']:,.1f}")
        counts = (_count(model["classes"]), _count(model["parameters"]))
        table.add_row(model["zoo"], args, model["title"], shape, *counts, *figures)
    return table


def _keys(keys: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table("key", "default", "meaning", box=None, pad_edge=False)
    for item in keys:
        table.add_row(item["key"], "-" if item["default"] is None else str(item["default"]), item["meaning"])
    return table


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
