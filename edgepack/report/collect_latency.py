"""Which latencies were measured for one target, where, and do they count?"""

import dataclasses

from edgepack.report import reading
from edgepack.report.collect_measurement import measurement
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
        decides_nothing = not_judged(bench, platform)
        latencies.extend(
            measurement(result, where, bench, decides_nothing) for result in reading.objects(bench, "results")
        )
    return tuple(benches), tuple(latencies)


def not_judged(bench: Doc, platform: str | None) -> str | None:
    """Why times from this measurement say nothing about the target, or None when they do."""
    environment = reading.mapping(bench, "environment")
    if simulated(bench):
        return "simulated, so the time says nothing about a real device"
    if reading.flag(environment, "emulated"):
        return "emulated, so the time says nothing about a real device"
    machine = reading.text(environment, "machine")
    if machine and platform and "/" in platform:
        wanted = platform.split("/")[1]
        if MACHINES.get(machine, machine) != wanted:
            return f"measured on {machine}, the target is {wanted}"
    return None


def simulated(bench: Doc) -> bool:
    """Whether a measurement counts instructions on a virtual board."""
    return (
        reading.flag(reading.mapping(bench, "device"), "simulated")
        or reading.text(reading.mapping(bench, "protocol"), "clock") == "instructions"
    )


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
