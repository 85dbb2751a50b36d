"""Which latencies were measured for one target, where, and do they count?"""

import dataclasses

from edgepack.report import reading
from edgepack.report.reading import Doc
from edgepack.report.schema import Bench, Gate, Latency

WHERE = ("container", "host")
MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def collect_latency(
    doc: Doc, missing: str | None, platform: str | None
) -> tuple[tuple[Bench, ...], tuple[Latency, ...]]:
    """Read latency.json.

    Args:
        doc: The document, empty when there is none.
        missing: Why there is none.
        platform: The target's platform, such as "linux/arm64": another machine's times are only shown.

    Returns:
        One `Bench` for the container and one for the host, and the results of both, the container's first.
    """
    benches: list[Bench] = []
    latencies: list[Latency] = []
    for where in WHERE:
        bench = reading.mapping(doc, where)
        reason = None
        if not bench:
            reason = reading.text(doc, f"{where}_reason") or (
                f"not measured ({missing})" if missing else f"not measured in the {where}"
            )
        environment = reading.mapping(bench, "environment")
        benches.append(
            Bench(
                where=where,
                reason=reason,
                protocol=reading.scalars(reading.mapping(bench, "protocol")),
                environment=reading.scalars(environment),
            )
        )
        not_judged = _not_judged(environment, platform)
        latencies.extend(
            _latency(result, where, environment, not_judged) for result in reading.objects(bench, "results")
        )
    return tuple(benches), tuple(latencies)


def _not_judged(environment: Doc, platform: str | None) -> str | None:
    """Why times from this environment say nothing about the target, or None when they do."""
    if reading.flag(environment, "emulated"):
        return "emulated, so the time says nothing about a real device"
    machine = reading.text(environment, "machine")
    if machine and platform and "/" in platform:
        wanted = platform.split("/")[1]
        if MACHINES.get(machine, machine) != wanted:
            return f"measured on {machine}, the target is {wanted}"
    return None


def without_verdict(gate: Gate, latencies: tuple[Latency, ...]) -> Gate:
    """The same gate, open when it limits a latency that decides nothing; whatever the pipeline made of it."""
    if "latency" not in gate.gate:
        return gate
    meant = [
        latency
        for latency in latencies
        if latency.status == "ok"
        and gate.artifact in (None, latency.artifact)
        and gate.runtime in (None, latency.runtime)
    ]
    shown = [latency for latency in meant if latency.where == "container"] or meant
    reason = next((latency.not_judged for latency in shown if latency.not_judged), None)
    return dataclasses.replace(gate, status="not judged", reason=reason) if reason else gate


def _latency(doc: Doc, where: str, environment: Doc, not_judged: str | None) -> Latency:
    statistics = reading.mapping(doc, "latency_ms")
    p50_ms = reading.number(statistics, "p50")
    # A result without a median is no measurement, whatever it says of itself.
    good = reading.text(doc, "status") == "ok" and p50_ms is not None
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
        details=reading.scalars(reading.mapping(doc, "details")),
        percentiles_ms=percentiles_ms(reading.numbers(doc, "samples_ns")),
        emulated=reading.flag(environment, "emulated"),
        not_judged=not_judged,
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
