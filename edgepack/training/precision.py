"""Is anything gained by 16-bit numbers on this machine?"""

import platform
from collections.abc import Iterable
from pathlib import Path

UNITS = {
    "mixed_bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
    "mixed_float16": ("avx512_fp16", "amx_fp16", "fphp"),
}
"""Flags of processors that compute in a format by themselves: x86-64 ones, then Arm's."""


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, as Linux names it; empty elsewhere."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(
        word
        for line in lines
        if line.lower().startswith(("flags", "features"))
        for word in line.split(":", 1)[1].split()
    )


def warning(precision: str, flags: Iterable[str], *, accelerators: int) -> str | None:
    """A sentence for whoever asked for a precision that gains nothing here; None where it may gain something.

    Args:
        precision: ``float32``, ``mixed_float16`` or ``mixed_bfloat16``.
        flags: From `processor_flags`; nothing is said where they are not known.
        accelerators: Number of GPUs that train.
    """
    known = frozenset(flags)
    if precision == "float32" or accelerators or not known or known & set(UNITS[precision]):
        return None
    name = precision.removeprefix("mixed_")
    return (
        f"training.precision: {precision} gains nothing here: there is no GPU, and this processor "
        f"({platform.machine()}) has no {name} units; float32 is faster"
    )
