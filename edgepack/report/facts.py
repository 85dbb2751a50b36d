"""What is said of one result where there is room for a few words only?"""

from edgepack.report.cells import place
from edgepack.report.formatting import joined, metric_name, percent, points, runtime_name, sentence_start, significant
from edgepack.report.schema import Latency, Report, Row


def title_of(row: Row) -> str:
    """A result's name."""
    return f"{row.artifact} in {runtime_name(row.runtime)}"


def facts_of(row: Row, shown: Latency | None) -> tuple[tuple[str, str], ...]:
    """Names and values of a result, as far as they are known; `shown` is the latency that its row tells."""
    found = []
    if row.accuracy is not None:
        found.append((sentence_start(metric_name(row.metric)), f"{percent(row.accuracy)} %"))
    if row.drop_points is not None:
        found.append(("Drop", f"{points(row.drop_points)} points"))
    if row.size_kib is not None:
        found.append(("Size", f"{significant(row.size_kib)} KiB"))
    if row.p50_ms is None:
        found.append(("Median", "not measured"))
    else:
        found.append(("Median", f"{significant(row.p50_ms)} ms"))
        interval = shown and interval_text(shown)
        if interval:
            found.append(("95 % interval", f"{interval} ms"))
        found.append(("Measured in", place(row)))
    return (*found, ("Verdict", row.verdict))


def interval_text(latency: Latency, name: str = "p50") -> str | None:
    """The 95 % interval of a percentile, without its unit, or None."""
    bounds = (latency.interval_ms or {}).get(name)
    return f"{significant(bounds[0])} to {significant(bounds[1])}" if bounds else None


def latency_facts(latency: Latency) -> tuple[tuple[str, str], ...]:
    """Names and values of one measurement, as far as they are known."""
    found = [
        (name, f"{significant(value)} {unit}")
        for name, value, unit in (
            ("p50", latency.p50_ms, "ms"),
            ("p90", latency.p90_ms, "ms"),
            ("p99", latency.p99_ms, "ms"),
        )
        if value is not None
    ]
    interval = interval_text(latency)
    if interval:
        found.insert(1, ("95 % interval of p50", f"{interval} ms"))
    if latency.first_inference_ms is not None:
        found.append(("First inference", f"{significant(latency.first_inference_ms)} ms"))
    if latency.energy_mj is not None:
        found.append(("Energy", f"{significant(latency.energy_mj)} mJ"))
    if latency.runs:
        found.append(("Runs", f"{latency.runs:,}"))
    if latency.nodes and latency.nodes.by:
        found.append(("Ran on", placed(latency)))
    if latency.stable is not None:
        found.append(("Steady state", "stable" if latency.stable else "unstable"))
    return tuple(found)


def flags(report: Report) -> tuple[tuple[str, str, str], ...]:
    """(kind, whom it concerns, sentence) of everything that a reader of the times has to know, each sentence once."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for target in report.targets:
        measured = [*target.latencies, *(latency for device in target.devices for latency in device.latencies)]
        for latency in measured:
            for flag in latency.flags:
                who = f"{latency.artifact} in {runtime_name(latency.runtime)}"
                found.setdefault((flag.kind, f"{target.name}, {latency.where}", flag.text), []).append(who)
    return tuple((kind, f"{where}: {joined(who)}", text) for (kind, where, text), who in found.items())


def placed(latency: Latency) -> str:
    """How many of the nodes ran where: "XNNPACK 9 of 10, CPU 1 of 10"; empty when nobody knows."""
    if latency.nodes is None:
        return ""
    total = f" of {latency.nodes.total}" if latency.nodes.total is not None else ""
    return ", ".join(f"{name} {count}{total}" for name, count in latency.nodes.by.items())
