"""What have other devices measured of a target's files?"""

import dataclasses
from pathlib import Path

from edgepack.report import reading
from edgepack.report.collect_latency import not_judged, simulated
from edgepack.report.collect_measurement import measurement
from edgepack.report.schema import Device, Gate

FOLDER = "devices"


def collect_devices(folder: Path, platform: str | None) -> tuple[Device, ...]:
    """Read every device's measurement, one file for each.

    Args:
        folder: A target's folder, with or without a folder of devices in it.
        platform: The target's platform: another machine's times are only shown.
    """
    try:
        files = sorted(path for path in (folder / FOLDER).iterdir() if path.suffix == ".json")
    except OSError:
        return ()
    return tuple(_device(file, platform) for file in files)


def decided(gate: Gate, devices: tuple[Device, ...]) -> Gate:
    """The same gate, decided by real devices where it limits a latency that nobody else could judge.

    The slowest of what they measured counts.
    """
    if "latency" not in gate.gate or gate.status in ("ok", "failed") or gate.limit is None:
        return gate
    percentile = next((name for name in ("p50", "p99") if name in gate.gate), "p90")
    measured = [
        (value, device.name)
        for device in devices
        for latency in device.latencies
        if latency.status == "ok" and not latency.not_judged
        if gate.artifact in (None, latency.artifact) and gate.runtime in (None, latency.runtime)
        if (value := getattr(latency, f"{percentile}_ms")) is not None
    ]
    if not measured:
        return gate
    value, name = max(measured)
    status = "ok" if value <= gate.limit else "failed"
    return dataclasses.replace(gate, value=value, status=status, reason=f"measured on {name}")


def _device(file: Path, platform: str | None) -> Device:
    doc, reason = reading.read_document(file, "edgepack.latency/1")
    about = reading.mapping(doc, "device")
    environment = reading.mapping(doc, "environment")
    name = reading.text(about, "name") or file.stem
    decides_nothing = not_judged(doc, platform)
    return Device(
        name=name,
        address=reading.text(about, "address"),
        simulated=simulated(doc),
        emulated=reading.flag(environment, "emulated"),
        reason=reason,
        protocol=reading.scalars(reading.mapping(doc, "protocol")),
        environment=reading.scalars(environment),
        latencies=tuple(measurement(result, name, doc, decides_nothing) for result in reading.objects(doc, "results")),
    )
