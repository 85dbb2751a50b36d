"""Which phone is it, and how fast and how warm are its processors just now?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .adb import SHORT_S, Adb

PROPERTIES = {
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "android": "ro.build.version.release",
    "api_level": "ro.build.version.sdk",
    "soc": "ro.soc.model",
    "board": "ro.board.platform",
    "abis": "ro.product.cpu.abilist",
    "build": "ro.build.fingerprint",
    "qemu": "ro.kernel.qemu",
    "qemu_boot": "ro.boot.qemu",
}
THROTTLING = 1
"""Android's thermal status from which on it slows its processors: 0 is none, 1 light, 6 shutdown."""

ZONES = r"cpu|soc[_-]|^(big|mid|little)\b|tsens"
"""Names of the kernel's zones that are the processor's; ``soc`` alone may be the battery's state of charge."""

# One round trip each: a phone on a slow network takes tenths of a second for one.
IDENTITY = "\n".join(
    [
        *(f"echo {key}=$(getprop {name})" for key, name in PROPERTIES.items()),
        "echo kernel=$(uname -sr)",
        "echo machine=$(uname -m)",
        "for word in taskset timeout sha256sum; do command -v $word >/dev/null && echo has=$word; done",
        "for core in /sys/devices/system/cpu/cpu[0-9]*; do",
        '  echo "core=${core##*cpu} $(cat $core/cpufreq/cpuinfo_max_freq 2>/dev/null)"',
        "done",
        "echo memory=$(grep MemTotal /proc/meminfo)",
        "true",
    ]
)
STATE = "\n".join(
    [
        "for core in /sys/devices/system/cpu/cpu[0-9]*; do f=$core/cpufreq",
        "  values=$(cat $f/scaling_governor $f/scaling_cur_freq $f/scaling_min_freq $f/scaling_max_freq 2>/dev/null)",
        '  echo "core=${core##*cpu}" $values',
        "done",
        "for zone in /sys/class/thermal/thermal_zone*; do",
        '  echo "zone=$(cat $zone/type 2>/dev/null) $(cat $zone/temp 2>/dev/null)"',
        "done",
        "echo load=$(cat /proc/loadavg 2>/dev/null)",
        "echo thermalservice=; dumpsys thermalservice 2>/dev/null",
        "echo battery=; dumpsys battery 2>/dev/null",
        "true",
    ]
)


@dataclass(frozen=True)
class Phone:
    """What does not change while a phone is measured.

    Attributes:
        about: The `PROPERTIES`, kernel, machine and memory; None where it does not say.
        abis: The instruction sets that it runs, the best one first, such as ``arm64-v8a``.
        tools: Which of ``taskset``, ``timeout`` and ``sha256sum`` it has.
        highest_khz: Highest frequency of each core by its number; None where it does not say.
    """

    about: Mapping[str, str | None]
    abis: tuple[str, ...]
    tools: frozenset[str]
    highest_khz: Mapping[int, int | None]

    @property
    def name(self) -> str:
        """Manufacturer and model."""
        model = self.about.get("model") or "Android"
        maker = self.about.get("manufacturer")
        return model if maker is None or model.lower().startswith(maker.lower()) else f"{maker} {model}"

    @property
    def emulated(self) -> bool:
        """Whether this is an emulator, whose times mean nothing."""
        return "1" in (self.about.get("qemu"), self.about.get("qemu_boot"))


def identify(adb: Adb) -> Phone:
    """Ask a phone what it is."""
    return parse_identity(adb.shell(IDENTITY, timeout_s=SHORT_S).text)


def parse_identity(text: str) -> Phone:
    """The phone, by what the script `IDENTITY` printed."""
    values: dict[str, str] = {}
    tools, highest = set(), {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "has":
            tools.add(value.strip())
        elif key == "core":
            number, _, frequency = value.partition(" ")
            if number.isdecimal():
                highest[int(number)] = _integer(frequency)
        else:
            values.setdefault(key.strip(), value.strip())
    about = {key: values.get(key) or None for key in (*PROPERTIES, "kernel", "machine", "memory")}
    abis = tuple(abi for abi in re.split(r"[,\s]+", about["abis"] or "") if abi)
    return Phone(about, abis, frozenset(tools), dict(sorted(highest.items())))


def chosen_cores(phone: Phone, wanted: str) -> tuple[int, ...]:
    """The cores that a measurement is held to; none where it is not to be held or the phone cannot do it.

    Args:
        phone: With the highest frequency of its cores.
        wanted: ``big``, ``all``, or a list such as ``4-7,9``.
    """
    if wanted == "all" or "taskset" not in phone.tools:
        return ()
    if wanted != "big":
        return tuple(sorted({core for part in wanted.split(",") for core in _span(part)}))
    known = {core: frequency for core, frequency in phone.highest_khz.items() if frequency is not None}
    best = max(known.values(), default=None)
    fastest = tuple(core for core, frequency in known.items() if frequency == best)
    return () if len(fastest) == len(phone.highest_khz) else fastest


def _span(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


def mask(cores: Sequence[int]) -> str:
    """Cores as ``taskset`` of Android takes them: a hexadecimal mask."""
    return f"{sum(1 << core for core in set(cores)):x}"


def state(adb: Adb, cores: Sequence[int]) -> dict[str, Any]:
    """Governor, frequency, temperature, load and battery of a phone as they are now."""
    return parse_state(adb.shell(STATE, timeout_s=SHORT_S).text, cores)


def parse_state(text: str, cores: Sequence[int]) -> dict[str, Any]:
    """A phone's state, by what the script `STATE` printed.

    Args:
        text: The output.
        cores: Those that are measured on; the first of them is described, or the one with the highest limit.

    Returns:
        ``governor``, ``frequency_khz``, ``frequency_limit_khz`` (up to which Android lets it go just now),
        ``temperature_c`` of the warmest processor, ``load_average``, ``thermal_status`` (Android's, 0 to 6) and
        ``battery``; None where it is not told.
    """
    described: dict[int, list[str] | None] = {}
    zones: dict[str, int | None] = {}
    sections = {"thermalservice": "", "battery": ""}
    load: list[float] | None = None
    section: str | None = None
    for line in text.splitlines():
        key, mark, value = line.partition("=")
        if mark and key in sections:
            section = key
        elif section is not None:
            sections[section] += line + "\n"
        elif key == "core":
            number, *rest = value.split() or [""]
            if number.isdecimal():
                described[int(number)] = rest if len(rest) == 4 else None
        elif key == "zone":
            name, _, degrees = value.rpartition(" ")
            zones[f"{name} {len(zones)}"] = _integer(degrees)
        elif key == "load":
            load = [float(word) for word in value.split()[:3] if re.fullmatch(r"\d+\.\d+", word)] or None
    known = {core: rest for core, rest in described.items() if rest}
    first = next((core for core in cores if core in known), None)
    if first is None:
        first = max(known, key=lambda core: _integer(known[core][3]) or 0, default=None)
    governor, *frequencies = known[first] if first is not None else (None, "", "", "")
    current, _, limit = (_integer(value) for value in frequencies)
    thermal = re.search(r"Thermal Status:\s*(\d+)", sections["thermalservice"])
    return {
        "governor": governor,
        "frequency_khz": current,
        "frequency_limit_khz": limit,
        "temperature_c": _temperature(zones, sections["thermalservice"]),
        "load_average": load,
        "thermal_status": int(thermal[1][:3]) if thermal else None,
        "battery": _battery(sections["battery"]),
    }


def environment(phone: Phone, start: Mapping[str, Any]) -> dict[str, Any]:
    """A phone as the runner describes a machine, with what only phones have besides.

    Args:
        phone: What it is.
        start: Its state when the measurement began.
    """
    memory = [int(word) for word in (phone.about.get("memory") or "").split() if word.isdecimal()]
    return {
        "cpu": phone.about.get("soc") or phone.about.get("board"),
        "machine_model": phone.name,
        "cores": len(phone.highest_khz) or None,
        "machine": phone.about.get("machine"),
        "kernel": phone.about.get("kernel"),
        "python": None,
        "numpy": None,
        "governor": start["governor"],
        "frequency_khz": {"current": start["frequency_khz"], "min": None, "max": start["frequency_limit_khz"]},
        "memory_mib": memory[0] // 1024 if memory else None,
        "memory_available_mib": None,
        "load_average": start["load_average"],
        "container": False,
        "emulated": phone.emulated,
        "android": phone.about.get("android"),
        "api_level": phone.about.get("api_level"),
        "abis": list(phone.abis),
        "build": phone.about.get("build"),
        "highest_khz": {str(core): frequency for core, frequency in phone.highest_khz.items()},
    }


def _temperature(zones: Mapping[str, int | None], thermalservice: str) -> float | None:
    """The warmest processor, by the kernel's zones or Android's own service."""
    found = [
        value / 1000 if abs(value) > 1000 else float(value)
        for name, value in zones.items()
        if value is not None and re.search(ZONES, name, re.IGNORECASE)
    ]
    if not found:
        rows = re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=0\b", thermalservice)  # 0 is the processor
        found = [float(value) for value in rows if re.fullmatch(r"-?\d+(\.\d+)?", value)]
    plausible = [value for value in found if -40 < value < 150]  # zones that are off tell impossible numbers
    return max(plausible, default=None)


def _battery(text: str) -> dict[str, Any] | None:
    fields = dict(re.findall(r"^\s*([A-Za-z ]+):\s*(\S+)\s*$", text, re.MULTILINE))
    level = _integer(fields.get("level", ""))
    if level is None:
        return None
    tenths = _integer(fields.get("temperature", ""))
    powered = [name for name in ("AC", "USB", "Wireless") if fields.get(f"{name} powered") == "true"]
    return {"level": level, "temperature_c": None if tenths is None else tenths / 10, "powered": powered}


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\s*-?\d{1,12}\s*", text) else None
