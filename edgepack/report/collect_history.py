"""What did earlier measurements of a target's files give?"""

import itertools
from pathlib import Path

from edgepack.report import reading
from edgepack.report.collect_measurement import bounds
from edgepack.report.schema import Past, Trend

FOLDER = "history"


def collect_history(folder: Path, name: str, target: str) -> tuple[Trend, ...]:
    """Read the history of `edgepack bench --history`, as far as it is about a target's files.

    Args:
        folder: The history's folder; it may be missing.
        name: The recipe's name.
        target: The target's name.
    """
    from edgepack.history import read, series

    prefix = f"{name}/{target}/"
    found = []
    for key, records in series(read(folder)).items():
        if not key.lineage.startswith(prefix):
            continue
        cleaned = [reading.clean(record) for record in records]
        entries = tuple(
            Past(
                when=str(record["time"]),
                p50_ms=p50_ms,
                low_ms=both[0] if (both := bounds(reading.mapping(record, "interval_ms"), "p50")) else None,
                high_ms=both[1] if both else None,
                note=", ".join(reading.texts(record, "flags")) or None,
                sha256=reading.text(record, "sha256"),
            )
            for record in cleaned
            if (p50_ms := reading.number(reading.mapping(record, "latency_ms"), "p50")) is not None
        )
        if entries:
            found.append(
                Trend(
                    artifact=key.lineage.removeprefix(prefix),
                    runtime=key.runtime,
                    where=key.device,
                    threads=key.threads,
                    simulated=any(reading.flag(reading.mapping(record, "device"), "simulated") for record in cleaned),
                    entries=entries,
                )
            )
    return tuple(found)


def new_files(trend: Trend) -> tuple[bool, ...]:
    """Whether each entry is of another file than the one before."""
    pairs = itertools.pairwise([None, *(entry.sha256 for entry in trend.entries)])
    return tuple(before is not None and before != after for before, after in pairs)
