"""On what machine was this measured, and is it a real one?"""

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Kernels name the same instruction set differently, and a 64-bit kernel runs 32-bit programs without
# emulating them.
_FAMILIES = {
    "x86": ("x86", "x86_64", "amd64", "i386", "i486", "i586", "i686"),
    "arm": ("aarch64", "arm64", "armv6l", "armv7l", "armv8l", "armv8b", "armv5tel", "arm"),
    "riscv": ("riscv64", "riscv32", "riscv"),
}
# arm64 kernels give numbers where x86 gives a name:
# https://www.kernel.org/doc/html/latest/arch/arm64/cpu-feature-registers.html
_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}


def describe(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Facts about this machine, as JSON values; what cannot be read is None.

    Args:
        root: Where ``proc`` and ``sys`` are; another folder in tests.
        environ: Environment variables.

    Returns:
        ``cpu`` (model), ``machine_model`` (of a board), ``cores`` (that this process may use), ``machine``,
        ``kernel``, ``python``, ``numpy``, ``governor``, ``frequency_khz`` (``current``, ``min``, ``max`` of
        CPU 0), ``memory_mib``, ``memory_available_mib``, ``load_average`` (1, 5, 15 minutes), ``container``
        and ``emulated``.
    """
    import numpy as np

    cpuinfo = read(root / "proc/cpuinfo") or ""
    memory = _memory_mib(read(root / "proc/meminfo") or "")
    cpufreq = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "cpu": cpu_model(cpuinfo) or platform.processor() or None,
        "machine_model": read(root / "sys/firmware/devicetree/base/model"),
        "cores": _cores(),
        "machine": platform.machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": str(np.__version__),
        "governor": read(cpufreq / "scaling_governor"),
        "frequency_khz": {
            name: integer(read(cpufreq / f"scaling_{key}_freq"))
            for name, key in (("current", "cur"), ("min", "min"), ("max", "max"))
        },
        "memory_mib": memory.get("MemTotal"),
        "memory_available_mib": memory.get("MemAvailable"),
        "load_average": load_average(),
        "container": in_container(root, environ),
        "emulated": emulated(platform.machine(), root, environ),
    }


def cpu_model(cpuinfo: str) -> str | None:
    """The processor's name by the text of ``/proc/cpuinfo``, on arm64 by its part number, or None."""
    fields: dict[str, str] = {}
    for key, value in re.findall(r"^([^:\n]+?)\s*:[ \t]*(.*)$", cpuinfo, re.MULTILINE):
        fields.setdefault(key.strip(), value.strip())
    for key in ("model name", "Model", "Hardware", "uarch"):
        if fields.get(key):
            return fields[key]
    implementer, part = fields.get("CPU implementer"), fields.get("CPU part")
    if part is None:
        return None
    if implementer == "0x41" and part in _ARM_PARTS:
        return f"Arm {_ARM_PARTS[part]}"
    return f"CPU implementer {implementer} part {part}"


def in_container(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a container, by the engine's mark, systemd's variable or the control group."""
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists() or environ.get("container"):
        return True
    groups = read(root / "proc/1/cgroup") or ""
    return any(word in groups for word in ("docker", "kubepods", "containerd", "libpod", "lxc"))


def emulated(machine: str, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> bool | None:
    """Whether the program's instructions are emulated, so that times mean nothing.

    Under user-mode QEMU the program is told one architecture while the kernel's own files still tell the
    other. A board of QEMU's generic kind may run on its own architecture or not, and cannot tell: None.

    Args:
        machine: The architecture that the program sees, as from ``platform.machine()``.
        root: Where ``proc`` and ``sys`` are.
        environ: Environment variables.

    Returns:
        True, False, or None when it cannot be known.
    """
    seen = _family(machine)
    cpuinfo = read(root / "proc/cpuinfo") or ""
    hints = (
        read(root / "proc/sys/kernel/arch"),  # since Linux 6.1
        (read(root / "sys/devices/system/cpu/modalias") or "").removeprefix("cpu:type:").split(",")[0].split(":")[0],
        "x86_64" if re.search(r"^vendor_id\s*:", cpuinfo, re.MULTILINE) else None,
    )
    told = [family for hint in hints if hint and (family := _family(hint))]
    if seen and any(family != seen for family in told):
        return True
    if environ.get("QEMU_CPU"):  # read by user-mode QEMU and by nothing else
        return True
    if "dummy-virt" in (read(root / "sys/firmware/devicetree/base/compatible") or ""):
        return None
    return False if seen and told else None


def _family(machine: str) -> str | None:
    return next((family for family, machines in _FAMILIES.items() if machine.lower() in machines), None)


def _cores() -> int | None:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def load_average() -> list[float] | None:
    """Of 1, 5 and 15 minutes; None where the system does not tell."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except OSError:
        return None


def _memory_mib(meminfo: str) -> dict[str, int]:
    return {key: int(kib) // 1024 for key, kib in re.findall(r"^(\w+):\s+(\d+) kB", meminfo, re.MULTILINE)}


def integer(text: str | None) -> int | None:
    """A whole number without a sign, or None."""
    return int(text) if text is not None and text.isdecimal() else None


def read(path: Path) -> str | None:
    """A small file of the kernel, without the zero byte that device trees end in; None if there is none."""
    try:
        return path.read_text(errors="replace").strip().strip("\0") or None
    except OSError:
        return None
