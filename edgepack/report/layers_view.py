"""Where in a model file do the bytes lie, in which number format, and who ran it?"""

from dataclasses import dataclass

from edgepack.report.facts import placed
from edgepack.report.formatting import runtime_name, significant
from edgepack.report.schema import FileLayers, Latency, Profiled, Target


@dataclass(frozen=True)
class Line:
    """One operation: its constants in KiB, and the width of their bar in percent."""

    name: str
    operation: str
    precision: str
    shape: str
    kib: float
    width: float


@dataclass(frozen=True)
class Profile:
    """Where one runtime spent its time, by kind of operation, and where that was measured."""

    where: str
    kinds: tuple[Profiled, ...]


@dataclass(frozen=True)
class FileView:
    """One file: its operations, a sentence about their number formats, one for each that ran it, and profiles."""

    artifact: str
    lines: tuple[Line, ...]
    formats: str
    ran: tuple[str, ...]
    profiles: tuple[Profile, ...]


def files_of(target: Target) -> tuple[FileView, ...]:
    """The files of a target that could be looked into."""
    return tuple(_view(target, file) for file in target.layers if file.layers)


def _view(target: Target, file: FileLayers) -> FileView:
    measured = [*target.latencies, *(x for device in target.devices for x in device.latencies)]
    measured = [x for x in measured if x.artifact == file.artifact]
    largest = max((layer.weight_bytes for layer in file.layers), default=0) or 1
    lines = tuple(
        Line(
            name=layer.name,
            operation=layer.operation,
            precision=layer.precision,
            shape="×".join(str(axis) if axis > 0 else "n" for axis in layer.shape),
            kib=layer.weight_bytes / 1024,
            width=round(100 * layer.weight_bytes / largest, 1),
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
        profiles=tuple(Profile(f"{runtime_name(x.runtime)}, {x.where}", x.profile) for x in measured if x.profile),
    )


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
