"""What have other devices measured of a target's files?"""

from pathlib import Path

from edgepack.report import reading
from edgepack.report.collect_latency import not_judged, simulated
from edgepack.report.collect_measurement import measurement
from edgepack.report.schema import Device

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
