"""edgepack bench: how fast is an artifact, where it runs?"""

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    what: Annotated[Path, typer.Argument(metavar="ARTIFACT|BUNDLE", help="A .tflite or .onnx file, or a bundle.")],
    on: Annotated[str, typer.Option(help="local, docker (the bundle's own image) or docker:IMAGE.")] = "local",
    runtime: Annotated[str | None, typer.Option(help="Only this runtime.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Inference threads; default: the target's, else 1.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only show that measuring works; marked as such.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the whole measurement with raw samples as JSON.")] = False,
) -> int:
    """Measure load time, first inference and steady latency; explicit threads, real samples where there are any."""
    from rich.console import Console
    from rich.table import Table

    from edgepack.cli.output import Progress, print_json
    from edgepack.errors import DeviceError
    from edgepack.measurement import measure
    from edgepack.protocol import Protocol
    from edgepack.recipe import Bench

    with Progress(quiet=json) as progress:
        progress.started("bench", str(what))
        document = measure(
            what,
            on=on,
            protocol=Protocol.of(Bench(), quick=quick),
            runtime=runtime,
            threads=threads,
            say=lambda text: progress.progress("bench", {"label": "bench", "text": text}),
        )
    if json:
        print_json(document)
    else:
        out = Console(highlight=False, markup=False)
        table = Table(
            "artifact", "runtime", "threads", "load ms", "first ms", "p50 ms", "p90 ms", "p99 ms", "runs", "peak MiB",
            box=None, pad_edge=False,
        )  # fmt: skip
        for result in document["results"]:
            table.add_row(*_row(result))
        out.print(table)
        for result in document["results"]:
            # A phone's own program tells no p90 and no p99, and an old one no percentile at all.
            if result["status"] == "ok" and result["latency_ms"]["p50"] is None:
                out.print(f"{result['artifact']}: {result['latency_ms']['mean']:.3f} ms on average")
        if document["environment"].get("emulated"):
            out.print("measured under emulation: these times mean nothing")
    broken = [item for item in document["results"] if item["status"] == "error"]
    if broken:
        raise DeviceError(
            "\n".join(f"{item['artifact']} with {item['runtime']}: {item['reason']}" for item in broken),
            fix="see the reason above",
        )
    return 0


def _row(result: dict[str, Any]) -> list[str]:
    known = [result["artifact"], result["runtime"], str(result["threads"])]
    if result["status"] == "error":
        return [*known, "error"]
    latency = result["latency_ms"]
    times = (result["load_ms"], result["first_inference_ms"], latency["p50"], latency["p90"], latency["p99"])
    return [
        *known,
        *("–" if value is None else f"{value:.3f}" for value in times),
        str(result["runs"]),
        "–" if result["peak_rss_mib"] is None else f"{result['peak_rss_mib']:.1f}",
    ]
