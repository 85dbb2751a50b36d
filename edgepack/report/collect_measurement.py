"""What does one result of a measurement say: its time, how sure that is, and what else a reader has to know?"""

from edgepack.report import reading
from edgepack.report.reading import Doc
from edgepack.report.schema import Flag, Latency, Machine, Nodes, Profiled, Window

BOUNDED = ("p50", "p90", "p99")
LONG = ("operators", "output", "taken")
"""Details that are no facts to be read in a line: a profile, what a program printed, what a delegate took."""


def measurement(doc: Doc, where: str, bench: Doc, not_judged: str | None) -> Latency:
    """Read one result; every field beside the artifact and its median may be missing, as in older files.

    Args:
        doc: The result, one of those of an ``edgepack.latency/1`` document.
        where: container, host, or the device's name.
        bench: That document.
        not_judged: Why times from there decide nothing, None when they count.
    """
    statistics = reading.mapping(doc, "latency_ms")
    p50_ms = reading.number(statistics, "p50")
    # A result without a median is no measurement, whatever it says of itself.
    good = reading.text(doc, "status") == "ok" and p50_ms is not None
    machine = reading.mapping(doc, "machine")
    details = reading.mapping(doc, "details")
    return Latency(
        artifact=reading.text(doc, "artifact") or "unnamed",
        runtime=reading.text(doc, "runtime") or "unknown",
        where=where,
        status="ok" if good else "error",
        reason=None if good else reading.text(doc, "reason") or "no latency and no reason were recorded",
        p50_ms=p50_ms,
        p90_ms=reading.number(statistics, "p90"),
        p99_ms=reading.number(statistics, "p99"),
        mean_ms=reading.number(statistics, "mean"),
        stdev_ms=reading.number(statistics, "stdev"),
        import_ms=reading.number(doc, "import_ms"),
        load_ms=reading.number(doc, "load_ms"),
        first_inference_ms=reading.number(doc, "first_inference_ms"),
        peak_rss_mib=reading.number(doc, "peak_rss_mib"),
        runs=reading.integer(doc, "runs"),
        threads=reading.integer(doc, "threads"),
        runtime_version=reading.text(doc, "runtime_version"),
        details=reading.scalars({name: value for name, value in details.items() if name not in LONG}),
        percentiles_ms=percentiles_ms(reading.numbers(doc, "samples_ns")),
        emulated=reading.flag(reading.mapping(bench, "environment"), "emulated"),
        not_judged=not_judged,
        interval_ms=_intervals(reading.mapping(doc, "interval_ms")),
        windows=tuple(
            Window(reading.number(window, "p50_ms"), reading.integer(window, "runs"))
            for window in reading.objects(doc, "windows")
        ),
        stable=_truth(doc, "stable"),
        flags=tuple(
            Flag(reading.text(flag, "kind") or "unknown", reading.text(flag, "text") or "no reason was recorded")
            for flag in reading.objects(doc, "flags")
        ),
        before=_machine(reading.mapping(machine, "before")),
        after=_machine(reading.mapping(machine, "after")),
        energy_mj=reading.number(doc, "energy_mj"),
        nodes=_nodes(reading.mapping(doc, "nodes")),
        simulated=reading.flag(reading.mapping(bench, "device"), "simulated")
        or reading.text(reading.mapping(bench, "protocol"), "clock") == "instructions",
        processes=max(1, len(reading.objects(doc, "processes"))),
        profile=tuple(_profiled(operation) for operation in reading.objects(details, "operators")),
    )


def percentiles_ms(samples_ns: tuple[float, ...]) -> tuple[float, ...]:
    """The 0th to the 100th percentile of raw samples, in ms, each one a sample that really occurred.

    Returns:
        101 values in rising order, or none for no samples.
    """
    ordered = sorted(samples_ns)
    if not ordered:
        return ()
    last = len(ordered) - 1
    return tuple(round(ordered[round(last * percent / 100)] / 1e6, 6) for percent in range(101))


def bounds(doc: Doc, key: str) -> tuple[float, float] | None:
    """The two bounds under a key, the lower one first, or None."""
    found = reading.numbers(doc, key)
    return (found[0], found[1]) if len(found) == 2 and found[0] <= found[1] else None


def _intervals(doc: Doc) -> dict[str, tuple[float, float]] | None:
    found = {name: both for name in BOUNDED if (both := bounds(doc, name))}
    return found or None


def _truth(doc: Doc, key: str) -> bool | None:
    value = doc.get(key)
    return value if isinstance(value, bool) else None


def _machine(doc: Doc) -> Machine | None:
    load = reading.numbers(doc, "load_average")
    machine = Machine(
        governor=reading.text(doc, "governor"),
        frequency_khz=reading.number(doc, "frequency_khz"),
        temperature_c=reading.number(doc, "temperature_c"),
        load_average=load[0] if load else reading.number(doc, "load_average"),
    )
    return None if machine == Machine(None, None, None, None) else machine


def _nodes(doc: Doc) -> Nodes | None:
    by = {name: count for name in reading.mapping(doc, "by") if (count := reading.integer(doc["by"], name)) is not None}
    total = reading.integer(doc, "total")
    return Nodes(total, by) if total is not None or by else None


def _profiled(doc: Doc) -> Profiled:
    return Profiled(
        kind=reading.text(doc, "type") or "unknown",
        count=reading.integer(doc, "count"),
        mean_ms=reading.number(doc, "mean_ms"),
        share=reading.number(doc, "share"),
    )
