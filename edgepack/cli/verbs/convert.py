"""edgepack convert: one model, one file."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Precision = Literal["float32", "float16", "dynamic_range", "int8", "int16x8"]


def command(
    model: Annotated[Path, typer.Argument(help="A .keras or .h5 file, or a SavedModel folder.")],
    format_: Annotated[str, typer.Option("--format", metavar="tflite|onnx", help="Kind of file to write.")],
    precision: Annotated[Precision, typer.Option(help="Number format.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    data: Annotated[
        Path | None,
        typer.Option(help="For int8 and int16x8: a recipe whose `data` calibrates, or an .npz file with an array x."),
    ] = None,
    custom_objects: Annotated[
        Path | None, typer.Option(help="Python file with the model's own layers and functions.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Convert a Keras model without a recipe; int8 and int16x8 are calibrated with real samples."""
    from shlex import quote

    from edgepack.cli.output import Progress, print_json, say_next
    from edgepack.conversion import convert

    with Progress(quiet=json, about="convert") as progress:
        progress.started("convert", f"{model} to {format_} {precision}")
        result = convert(
            model, format_name=format_, precision=precision, out=output, data=data, custom_objects=custom_objects
        )
    if json:
        print_json(result)
    else:
        typer.echo(f"{output}  {result['size_bytes'] / 1024:.1f} KiB  sha256 {result['sha256']}")
        say_next(f"edgepack bench {quote(str(output))}")
    return 0
