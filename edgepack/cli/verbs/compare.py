"""edgepack compare: which of two models is faster, and by how much?"""

from typing import Annotated

import typer


def command(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A .tflite or .onnx file or a bundle, with @RUNTIME if wanted.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    on: Annotated[str, typer.Option(help="local, docker:IMAGE or another device, as ssh://USER@HOST.")] = "local",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Inference threads; default: the bundle's, else 1.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=2, help="Pairs of fresh processes; default: 10, and up to 40 until the ratio is within 4 %."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only show that comparing works; marked as such.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the whole comparison as JSON.")] = False,
) -> int:
    """Measure two models in turns, in fresh processes; says "no significant difference" when there is none."""
    from rich.table import Table

    from edgepack.cli.output import Progress, print_json, results
    from edgepack.comparison import compare, verdict

    with Progress(quiet=json) as progress:
        progress.started("compare", f"{a} {b}")
        document = compare(
            a,
            b,
            on=on,
            threads=threads,
            rounds=rounds,
            quick=quick,
            say=lambda text: progress.progress("compare", {"label": "compare", "text": text}),
        )
    if json:
        print_json(document)
        return 0
    out = results()
    for found in document["comparisons"]:
        table = Table("", "artifact", "runtime", "threads", "p50 ms", "runs", box=None, pad_edge=False)
        for letter in "ab":
            side = found[letter]
            known = (side["artifact"], side["runtime"], str(side["threads"]))
            table.add_row(letter.upper(), *known, f"{side['p50_ms']:.4f}", f"{side['runs']:,}")
        out.print(table)
        out.print(verdict(found), soft_wrap=True)
        for flag in found["flags"]:
            out.print(f"{flag['kind']}: {flag['text']}", soft_wrap=True)
    return 0
