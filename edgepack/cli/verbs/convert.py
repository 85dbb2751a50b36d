"""edgepack convert: one model, one file."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    model: Annotated[Path, typer.Argument(help="A .keras or .h5 file, or a SavedModel folder.")],
    format_: Annotated[str, typer.Option("--format", metavar="tflite|onnx", help="Kind of file to write.")],
    precision: Annotated[Literal["float32", "int8"], typer.Option(help="Number format.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    data: Annotated[
        Path | None,
        typer.Option(help="For int8: a recipe whose `data` calibrates, or an .npz file with an array x."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Convert a Keras model without a recipe; int8 is calibrated with real samples."""
    from edgepack.cli.output import Progress, print_json
    from edgepack.conversion import convert

    with Progress(quiet=json) as progress:
        progress.started("convert", f"{model} to {format_} {precision}")
        result = convert(model, format_name=format_, precision=precision, out=output, data=data)
    if json:
        print_json(result)
    else:
        typer.echo(f"{output}  {result['size_bytes'] / 1024:.1f} KiB  sha256 {result['sha256']}")
    return 0
