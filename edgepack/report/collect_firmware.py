"""What source did a run leave to be built into a target's firmware?"""

from edgepack.report import reading
from edgepack.report.reading import Doc
from edgepack.report.schema import Firmware


def collect_firmware(doc: Doc) -> tuple[Firmware, ...]:
    """The packages of firmware.json, one for each artifact."""
    return tuple(
        Firmware(
            artifact=reading.text(package, "artifact") or "unnamed",
            use=reading.text(doc, "use") or "unknown",
            files=reading.texts(package, "files"),
            array_bytes=reading.integer(package, "array_bytes"),
            arena_bytes=reading.integer(package, "arena_bytes"),
            delegate=reading.text(package, "delegate"),
            nodes=reading.integer(package, "nodes"),
            nodes_delegated=reading.integer(package, "nodes_delegated"),
            not_delegated=reading.texts(package, "not_delegated"),
            cycles=reading.integer(package, "cycles"),
            clock_mhz=reading.number(package, "clock_mhz"),
            inference_ms=reading.number(package, "inference_ms"),
            sram_bytes=reading.integer(package, "sram_bytes"),
            flash_bytes=reading.integer(package, "flash_bytes"),
        )
        for package in reading.objects(doc, "packages")
    )
