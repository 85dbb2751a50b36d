"""What does the table of firmware packages show of each?"""

from edgepack.report.formatting import significant
from edgepack.report.schema import Firmware

COLUMNS = (
    ("Array", "KiB"),
    ("Working memory", "KiB"),
    ("On the NPU", "operations"),
    ("Cycles", ""),
    ("Inference", "ms"),
    ("SRAM", "KiB"),
    ("Flash", "KiB"),
)
"""Names and units of `cells`."""

EMPTY = "–"


def cells(package: Firmware) -> tuple[str, ...]:
    """The figures of a package, as text; what its kind does not tell is a dash."""
    placed = None if package.nodes is None else f"{package.nodes_delegated} of {package.nodes}"
    time = None
    if package.inference_ms is not None and package.clock_mhz is not None:
        time = f"{significant(package.inference_ms)} at {significant(package.clock_mhz)} MHz"
    cycles = None if package.cycles is None else f"{package.cycles:,}"
    sizes = [None if size is None else significant(size / 1024) for size in (package.array_bytes, package.arena_bytes)]
    memories = [
        None if size is None else significant(size / 1024) for size in (package.sram_bytes, package.flash_bytes)
    ]
    return tuple(EMPTY if cell is None else cell for cell in (*sizes, placed, cycles, time, *memories))
