"""edgepack bench: how fast is an artifact, where it runs?"""

from dataclasses import replace
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
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Fresh processes that share runs and time; default: 5 with --baseline, else 1."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Fail with exit code 7 if an artifact became slower than this file says.")
    ] = None,
    fail_above: Annotated[str, typer.Option(help="By how much, as 5%.")] = "5%",
    save_baseline: Annotated[
        bool, typer.Option("--save-baseline", help="Write the file of --baseline instead.")
    ] = False,
    history: Annotated[Path | None, typer.Option(help="Folder to whose history the results are added.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole measurement with raw samples as JSON.")] = False,
) -> int:
    """Measure load time, first inference and steady latency; explicit threads, real samples where there are any."""
    from rich.console import Console
    from rich.table import Table

    from edgepack import baseline as baselines
    from edgepack import history as histories
    from edgepack.cli.output import Progress, print_json
    from edgepack.errors import DeviceError, RecipeError
    from edgepack.measurement import measure
    from edgepack.protocol import Protocol
    from edgepack.recipe import Bench

    if save_baseline and baseline is None:
        raise RecipeError("--save-baseline without a file to write", fix="add --baseline FILE")
    limit = baselines.share(fail_above)
    if baseline and not save_baseline:
        baselines.read(baseline)  # what is wrong with it is said before anything is measured
    protocol = Protocol.of(Bench(), quick=quick)
    number = processes or (baselines.PROCESSES if baseline else 1)

    with Progress(quiet=json) as progress:
        progress.started("bench", str(what))

        def measured() -> dict[str, Any]:
            return measure(
                what,
                on=on,
                protocol=replace(protocol, processes=number),
                runtime=runtime,
                threads=threads,
                say=lambda text: progress.progress("bench", {"label": "bench", "text": text}),
            )

        judgements: list[baselines.Judgement] = []
        if baseline and not save_baseline:
            document, judgements = baselines.gate(baseline, measured, fail_above=limit)
        else:
            document = measured()
    if history:
        histories.append(history, histories.entries(document, what))
    if judgements:
        document = {**document, "judgements": [judgement.to_dict() for judgement in judgements]}
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
        for judgement in judgements:
            out.print(judgement.sentence(), soft_wrap=True)
    broken = [item for item in document["results"] if item["status"] == "error"]
    if broken:
        raise DeviceError(
            "\n".join(f"{item['artifact']} with {item['runtime']}: {item['reason']}" for item in broken),
            fix="see the reason above",
        )
    if baseline and save_baseline:
        baselines.save(baseline, [document])
    slower = baselines.error_for(judgements, document)
    if slower:
        raise slower
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
