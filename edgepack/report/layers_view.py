"""Where in a model file do the bytes lie, in which number format, and who ran it?"""

from dataclasses import dataclass

from edgepack.report.facts import placed
from edgepack.report.formatting import runtime_name, significant
from edgepack.report.schema import FileLayers, Latency, Profiled, Target


@dataclass(frozen=True)
class Line:
    """One operation: its constants in KiB, the width of their bar in percent, its time where there is a profile."""

    name: str
    operation: str
    precision: str
    shape: str
    kib: float
    width: float
    time_ms: float | None


@dataclass(frozen=True)
class FileView:
    """One file: its operations, a sentence about their number formats, and one for each runtime that says who ran."""

    artifact: str
    lines: tuple[Line, ...]
    formats: str
    ran: tuple[str, ...]
    profile: tuple[Profiled, ...]
    timed: bool


def files_of(target: Target) -> tuple[FileView, ...]:
    """The files of a target that could be looked into."""
    return tuple(_view(target, file) for file in target.layers if file.layers)


def _view(target: Target, file: FileLayers) -> FileView:
    measured = [x for x in _measured(target) if x.artifact == file.artifact]
    profile = next((x.profile for x in measured if x.profile), ())
    times = {operation.name: operation.mean_ms for operation in profile}
    largest = max((layer.weight_bytes for layer in file.layers), default=0) or 1
    lines = tuple(
        Line(
            name=layer.name,
            operation=layer.operation,
            precision=layer.precision,
            shape="×".join(str(axis) if axis > 0 else "n" for axis in layer.shape),
            kib=layer.weight_bytes / 1024,
            width=round(100 * layer.weight_bytes / largest, 1),
            time_ms=times.get(layer.name),
        )
        for layer in file.layers
    )
    counts: dict[str, int] = {}
    for layer in file.layers:
        counts[layer.precision] = counts.get(layer.precision, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return FileView(
        artifact=file.artifact,
        lines=lines,
        formats=", ".join(f"{number} in {kind}" for kind, number in ordered),
        ran=_ran(target, file.artifact, measured),
        profile=() if any(line.time_ms is not None for line in lines) else profile,
        timed=any(line.time_ms is not None for line in lines),
    )


def _measured(target: Target) -> list[Latency]:
    return [*target.latencies, *(x for device in target.devices for x in device.latencies)]


def _ran(target: Target, artifact: str, measured: list[Latency]) -> tuple[str, ...]:
    told = [
        f"{runtime_name(check.runtime)}: {check.placement}"
        for check in target.checks
        if check.file == artifact and check.placement
    ]
    told += [f"{runtime_name(x.runtime)}, {x.where}: {placed(x)}" for x in measured if placed(x)]
    return tuple(dict.fromkeys(told))


def total_kib(view: FileView) -> str:
    """The constants of all operations together."""
    return significant(sum(line.kib for line in view.lines))
