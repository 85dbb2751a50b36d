"""What state was the machine in, and what disturbed it while something was timed?"""

import os
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environment import integer, load_average, read

PREEMPTED_PER_S = 20.0
"""An idle machine takes the processor from a program a few times a second; a second busy one, hundreds of times."""
OTHERS_SHARE = 0.1
STOLEN_SHARE = 0.01
COUNTED_S = 0.4
"""The kernel counts processor time in steps of a hundredth of a second: over less time than this they say little."""
SLOWED_SHARE = 0.1
"""Frequencies that fall by more than this share while a program is busy were taken away."""

_HOTTEST_C = 150
_ZONES = ("cpu", "x86_pkg_temp", "soc", "core", "pkg", "cluster")
_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal")
_COOLING = ("thermal-cpufreq", "thermal-devfreq", "processor", "cpufreq")


def state(root: Path = Path("/")) -> dict[str, Any]:
    """How the machine is set and how warm it is; None where that cannot be read.

    Args:
        root: Where ``proc`` and ``sys`` are; another folder in tests.

    Returns:
        ``governor``, ``frequency_khz`` (of the fastest processor that this process may use), ``temperature_c`` (of the
        hottest sensor of the processor) and ``load_average``.
    """
    cpus = [root / f"sys/devices/system/cpu/cpu{number}/cpufreq" for number in _cpus()]
    frequencies = [value for cpu in cpus if (value := integer(read(cpu / "scaling_cur_freq"))) is not None]
    governors = sorted({name for cpu in cpus if (name := read(cpu / "scaling_governor"))})
    return {
        "governor": ", ".join(governors) or None,
        "frequency_khz": max(frequencies, default=None),
        "temperature_c": temperature_c(root),
        "load_average": load_average(),
    }


def temperature_c(root: Path = Path("/")) -> float | None:
    """The hottest of the processor's sensors, in degrees Celsius; of all zones where none is named after it."""
    zones = [(read(zone / "type") or "", zone / "temp") for zone in (root / "sys/class/thermal").glob("thermal_zone*")]
    ours = [path for kind, path in zones if any(word in kind.lower() for word in _ZONES)]
    sensors = [
        path
        for monitor in (root / "sys/class/hwmon").glob("hwmon*")
        if (read(monitor / "name") or "") in _SENSORS
        for path in monitor.glob("temp*_input")
    ]
    return _hottest([*ours, *sensors]) or _hottest(path for _, path in zones)


@dataclass(frozen=True)
class Counters:
    """What the kernel has counted up to a moment.

    Attributes:
        clock_s: The moment, on the monotonic clock.
        own_s: Processor time of this process.
        preempted: How often its processor was taken from it.
        busy_s: Processor time of all programs on the processors that this process may use; None when unknown.
        stolen_s: What the hypervisor took from these; None when unknown.
        heat_events: How often a processor was slowed down for its heat; None when unknown.
        held_back: How far a device tree's cooling holds the processor back at this moment, in its own steps; None when
            unknown.
        quota_events: How often a limit of the container stopped its processes; None when unknown.
    """

    clock_s: float
    own_s: float
    preempted: int
    busy_s: float | None
    stolen_s: float | None
    heat_events: int | None
    held_back: int | None
    quota_events: int | None


def counters(root: Path = Path("/")) -> Counters:
    """Read them all; what cannot be read is None."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    busy_s, stolen_s = _processors(read(root / "proc/stat") or "")
    return Counters(
        clock_s=time.monotonic(),
        own_s=usage.ru_utime + usage.ru_stime,
        preempted=usage.ru_nivcsw,
        busy_s=busy_s,
        stolen_s=stolen_s,
        heat_events=_sum((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_count")),
        held_back=_held_back(root),
        quota_events=_quota_events(root),
    )


def contention(before: Counters, after: Counters) -> str | None:
    """One sentence on who else used the processor between two moments; None when nobody did to speak of."""
    elapsed_s = max(after.clock_s - before.clock_s, 1e-9)
    available_s = elapsed_s * len(_cpus())
    found = []
    if elapsed_s >= COUNTED_S and before.busy_s is not None and after.busy_s is not None:
        others = (after.busy_s - before.busy_s - (after.own_s - before.own_s)) / available_s
        if others > OTHERS_SHARE:
            found.append(f"other programs used {others:.0%} of the processor")
    if elapsed_s >= COUNTED_S and before.stolen_s is not None and after.stolen_s is not None:
        stolen = (after.stolen_s - before.stolen_s) / available_s
        if stolen > STOLEN_SHARE:
            found.append(f"the hypervisor took {stolen:.1%} of it away")
    preempted = (after.preempted - before.preempted) / elapsed_s
    if preempted > PREEMPTED_PER_S and elapsed_s >= COUNTED_S:
        found.append(f"inference was interrupted {preempted:.0f} times a second")
    stopped = _difference(before.quota_events, after.quota_events)
    if stopped:
        found.append(f"the container's processor limit stopped it {stopped} times")
    if not found:
        return None
    sentence = "; ".join(found)
    return f"{sentence[0].upper()}{sentence[1:]}: times may be too long."


def throttling(before: Counters, after: Counters, start: dict[str, Any], end: dict[str, Any]) -> str | None:
    """One sentence on how heat or a power limit slowed the processor down; None when nothing tells of it.

    Args:
        before: Counters when timing began.
        after: Counters when it ended.
        start: ``state()`` when timing began, with the processor warmed up.
        end: ``state()`` when it ended.
    """
    found = []
    events = _difference(before.heat_events, after.heat_events)
    if events:
        found.append(f"the processor was slowed down for its heat ({events} times)")
    if after.held_back:
        found.append(f"cooling held the processor back (by {after.held_back} steps)")
    was, became = start["frequency_khz"], end["frequency_khz"]
    if was and became and became < (1 - SLOWED_SHARE) * was:
        found.append(f"its frequency fell from {was / 1e6:.2f} to {became / 1e6:.2f} GHz")
    if not found:
        return None
    warm = f" at {end['temperature_c']:.0f} °C" if end["temperature_c"] is not None else ""
    sentence = " and ".join(found)
    return f"{sentence[0].upper()}{sentence[1:]}{warm}: times are those of a slowed processor."


def _cpus() -> list[int]:
    """The processors that this process may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _processors(stat: str) -> tuple[float | None, float | None]:
    """Seconds that the usable processors were busy and stolen: https://docs.kernel.org/filesystems/proc.html (1.7)."""
    ticks = os.sysconf("SC_CLK_TCK")
    wanted = {f"cpu{number}" for number in _cpus()}
    lines = [line.split() for line in stat.splitlines() if line.split(" ", 1)[0] in wanted]
    counts = [[int(value) for value in line[1:]] for line in lines if all(value.isdecimal() for value in line[1:])]
    counts = [values for values in counts if len(values) >= 8]
    if not counts:
        return None, None
    # user, nice, system, idle, iowait, irq, softirq, steal
    busy = sum(sum(values[:3]) + sum(values[5:7]) for values in counts)
    return busy / ticks, sum(values[7] for values in counts) / ticks


def _held_back(root: Path) -> int | None:
    devices = (root / "sys/class/thermal").glob("cooling_device*")
    ours = [device for device in devices if (read(device / "type") or "").lower().startswith(_COOLING)]
    return _sum(device / "cur_state" for device in ours)


def _sum(paths: Iterable[Path]) -> int | None:
    """The sum of the numbers in some files; None when there is none."""
    known = [value for path in paths if (value := integer(read(path))) is not None]
    return sum(known) if known else None


def _quota_events(root: Path) -> int | None:
    for path in ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat"):
        for line in (read(root / path) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled":
                return integer(value)
    return None


def _difference(before: int | None, after: int | None) -> int:
    return 0 if before is None or after is None else max(0, after - before)


def _hottest(paths: Iterable[Path]) -> float | None:
    """The highest temperature in files of thousandths of a degree; sensors that are off tell nonsense."""
    values = []
    for path in paths:
        text = read(path)
        if text is not None and text.removeprefix("-").isdecimal() and abs(int(text)) < 1000 * _HOTTEST_C:
            values.append(int(text) / 1000)
    return max(values, default=None)
