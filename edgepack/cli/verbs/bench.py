"""edgepack bench: how fast is an artifact, where it runs?"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.errors import EdgepackError
    from edgepack.measurement import Outcome


def command(
    what: Annotated[Path, typer.Argument(metavar="ARTIFACT|BUNDLE", help="A .tflite or .onnx file, or a bundle.")],
    on: Annotated[
        list[str] | None,
        typer.Option(
            help="local (the default), docker (the bundle's own image), docker:IMAGE, ssh://[USER@]HOST[:PORT], "
            "adb://SERIAL or board; repeatable, all at once."
        ),
    ] = None,
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
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the results into the bundle (devices/), where the report finds them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the whole measurement with raw samples as JSON.")] = False,
) -> int:
    """Measure load time, first inference and steady latency; explicit threads, real samples where there are any."""
    from edgepack import baseline as baselines
    from edgepack import history as histories
    from edgepack.cli.output import Progress, print_json, say_next
    from edgepack.errors import RecipeError
    from edgepack.measurement import keep as keep_in
    from edgepack.measurement import measure, measure_on_all
    from edgepack.protocol import Protocol
    from edgepack.recipe import Bench

    devices = on or ["local"]
    if baseline and len(devices) > 1:
        raise RecipeError("--baseline with several devices", fix="give one --on, and one baseline for each device")
    if keep and not what.is_dir():
        raise RecipeError(f"--keep needs a bundle, but {what} is none", fix="name the bundle's folder")
    if save_baseline and baseline is None:
        raise RecipeError("--save-baseline without a file to write", fix="add --baseline FILE")
    limit = baselines.share(fail_above)
    if baseline and not save_baseline:
        baselines.read(baseline)  # what is wrong with it is said before anything is measured
    protocol = Protocol.of(Bench(), quick=quick)
    number = processes or (baselines.PROCESSES if baseline else 1)

    with Progress(quiet=json) as progress:
        progress.started("bench", str(what))
        how: dict[str, Any] = {
            "protocol": replace(protocol, processes=number),
            "runtime": runtime,
            "threads": threads,
            "say": lambda text: progress.progress("bench", {"label": "bench", "text": text}),
        }
        outcomes = measure_on_all(what, on=devices, **how)
        documents = [outcome.document for outcome in outcomes if outcome.document]
        judgements: list[baselines.Judgement] = []
        if baseline and not save_baseline and documents:
            judgements = baselines.gate(
                baseline, documents[0], lambda: measure(what, on=devices[0], **how), fail_above=limit
            )
            documents[0] |= {"judgements": [judgement.to_dict() for judgement in judgements]}
    kept = [keep_in(what, document) for document in documents] if keep else []
    for document in documents:
        if history:
            histories.append(history, histories.entries(document, what))
    problems = [problem for outcome in outcomes if (problem := _problem(outcome))]
    if json and (documents or len(outcomes) > 1):
        print_json(documents[0] if len(outcomes) == 1 else _together(outcomes))
    elif documents:
        _show(outcomes, judgements, kept)
    if problems:
        raise _joined(problems)
    if baseline and save_baseline:
        baselines.save(baseline, documents)
    slower = baselines.error_for(judgements, documents[0])
    if slower:
        raise slower
    if not json:
        say_next(_after(what, kept=bool(kept)))
    return 0


def _after(what: Path, *, kept: bool) -> str:
    """The command that makes more of a measurement."""
    from shlex import quote

    if kept:
        return f"edgepack report {quote(str(what.parent))}"
    if what.is_dir():
        return f"edgepack bench {quote(str(what))} --baseline baseline.json --save-baseline"
    return f"edgepack compare {quote(str(what))} ANOTHER"


def _problem(outcome: "Outcome") -> "EdgepackError | None":
    """What went wrong on a device: all of it, or one of its results."""
    from edgepack.errors import DeviceError

    if outcome.document is None:
        return outcome.error
    broken = [item for item in outcome.document["results"] if item["status"] == "error"]
    if not broken:
        return None
    return DeviceError(
        "\n".join(f"{item['artifact']} with {item['runtime']}: {item['reason']}" for item in broken),
        fix="see the reason above",
    )


def _joined(problems: "Sequence[EdgepackError]") -> "EdgepackError":
    """One error of all; of several kinds, a device's."""
    from edgepack.errors import DeviceError

    if len(problems) == 1:
        return problems[0]
    kinds = {type(problem) for problem in problems}
    kind = kinds.pop() if len(kinds) == 1 else DeviceError
    fixes = "; ".join(dict.fromkeys(problem.fix for problem in problems if problem.fix))
    return kind("\n".join(problem.message for problem in problems), fix=fixes)


def _together(outcomes: "Sequence[Outcome]") -> dict[str, Any]:
    """The document of several devices: for each its measurement, or the error."""
    from edgepack.cli.output import error_document

    return {
        "schema": "edgepack.measurements/1",
        "devices": [
            {
                "address": outcome.address,
                "measurement": outcome.document,
                "error": error_document(outcome.error) if outcome.error else None,
            }
            for outcome in outcomes
        ],
    }


def _show(outcomes: "Sequence[Outcome]", judgements: "Sequence[Any]", kept: "Sequence[Path]") -> None:
    from rich.table import Table

    from edgepack.cli.output import results

    out = results()
    several = len(outcomes) > 1
    table = Table(
        *(["device"] if several else []),
        *("artifact", "runtime", "threads", "load ms", "first ms", "p50 ms", "p90 ms", "p99 ms", "runs", "peak MiB"),
        box=None,
        pad_edge=False,
    )
    for outcome in outcomes:
        for result in outcome.document["results"] if outcome.document else ():
            table.add_row(*([outcome.address] if several else []), *_row(result))
    out.print(table)
    for outcome in outcomes:
        name = f"{outcome.address}: " if several else ""
        if outcome.document is None:
            out.print(f"{name}no result", soft_wrap=True)
        elif outcome.document["environment"].get("emulated"):
            out.print(f"{name}measured under emulation: these times mean nothing", soft_wrap=True)
        elif outcome.document["device"]["simulated"]:
            out.print(f"{name}simulated: instructions were counted, compare only with the same board", soft_wrap=True)
        for result in outcome.document["results"] if outcome.document else ():
            for note in _notes(result):
                out.print(f"{name}{result['artifact']}: {note}", soft_wrap=True)
    for judgement in judgements:
        out.print(judgement.sentence(), soft_wrap=True)
    for path in kept:
        out.print(f"kept in {path}", soft_wrap=True)


def _notes(result: dict[str, Any]) -> list[str]:
    """What has to be known beside the figures, but for what the line about the device says."""
    if result["status"] == "error":
        return []
    said = [flag["text"] for flag in result.get("flags") or () if flag["kind"] not in ("emulated", "simulated")]
    # An old program of a phone tells no percentile at all.
    if result["latency_ms"]["p50"] is None:
        said.insert(0, f"{result['latency_ms']['mean']:.3f} ms on average")
    return said


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
