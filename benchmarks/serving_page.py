"""How do the results of `serving.py` become the part of docs/serving.md that tells how fast it is?"""

import statistics
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "serving.md"
BEGIN, END = "<!-- figures: written by benchmarks/serving.py -->\n", "<!-- end of figures -->\n"
READY_BAR_S, ADDED_BAR_MS, BAR = 0.6, 0.5, 1.5


def write_page(document: dict[str, Any]) -> None:
    """Put the figures into the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + figures(document) + END + after)


def figures(document: dict[str, Any]) -> str:
    """The part of the page that tells what came out, against what was promised."""
    rounds = document["rounds"]
    names = [name for name in rounds[0] if name != "floor"]
    counts = [int(count) for count in rounds[0][names[0]]]

    def middle(name: str, connections: int, key: str) -> float:
        return float(statistics.median(found[name][str(connections)][key] for found in rounds))

    floor_us = statistics.median(found["floor"]["p50_us"] for found in rounds)
    added_ms = (middle(names[0], 1, "p50_us") - floor_us) / 1e3
    ratio = min(middle(names[0], count, "per_s") / middle(names[2], count, "per_s") for count in counts)
    process = statistics.median(document["starts_s"]["process"])
    container = document["starts_s"]["container"]
    machine = document["environment"]
    lines = [
        f"`{document['artifact']}` of the digits example in {document['runtime']}, one thread, a sample a request;",
        f"{machine['cpu']}, {machine['cores']} cores, which wrk shares; {document['date'][:10]};",
        f"`{document['command']}`, all figures in [serving.json](../benchmarks/results/serving.json).",
        "",
        "| | measured | promised |",
        "|---|---|---|",
    ]
    if container:
        since = statistics.median(start["since_start_s"] for start in container)
        call = statistics.median(start["since_call_s"] for start in container)
        peak = max(start["peak_mib"] for start in container)
        lines += [
            f"| container, from its start until ready | {since:.2f} s | at most {READY_BAR_S} s |",
            f"| the same from the call to the engine | {call:.2f} s | |",
            f"| memory of the container once ready, at most | {peak:.0f} MiB | |",
        ]
    else:
        lines.append(f"| container | {document['container_reason']} | at most {READY_BAR_S} s |")
    lines += [
        f"| process of this machine, until ready | {process:.2f} s | |",
        f"| memory after all of it, this server | {document['peak_mib']['edgepack']:.0f} MiB | |",
        f"| memory after all of it, FastAPI | {document['peak_mib']['FastAPI']:.0f} MiB | |",
        f"| inference in-process | {floor_us / 1e3:.3f} ms | |",
        f"| added to it at one connection, JSON | {added_ms:.2f} ms | at most {ADDED_BAR_MS} ms |",
        f"| requests a second over FastAPI's, JSON, the least of the rows below | {ratio:.2f} x | at least {BAR} x |",
        "",
        "Median and 99th percentile in ms, and requests a second:",
        "",
        "| connections | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for count in counts:
        cells = [
            f"{middle(name, count, 'p50_us') / 1e3:.2f} / {middle(name, count, 'p99_us') / 1e3:.2f}, "
            f"{middle(name, count, 'per_s'):,.0f}"
            for name in names
        ]
        lines.append(f"| {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
