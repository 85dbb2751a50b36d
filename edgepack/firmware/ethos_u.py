"""How does a model reach an Arm Ethos-U NPU, and how long will it take there?"""

import csv
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import Field

from edgepack import contracts, proc
from edgepack.contracts import FirmwareContext
from edgepack.errors import ConversionError, MissingError
from edgepack.firmware import _source

NPU = "ethos-u"
"""The custom operation that stands for what the compiler gave to the NPU."""
TIMEOUT_S = 1800


class Config(contracts.FirmwareConfig):
    """Compiled by Arm's Vela, as a C++ array."""

    use: Literal["ethos_u"] = "ethos_u"
    accelerator: str = Field(
        "ethos-u55-128", description="NPU and its MACs a cycle, one of `vela --accelerator-config`"
    )
    system_config: str = Field(
        "Ethos_U55_High_End_Embedded", description="clock and memories, a section of Vela's configuration file"
    )
    memory_mode: str = Field("Shared_Sram", description="what lies in which memory, another section of it")
    config_file: str = Field("Arm/vela.ini", description="Vela's configuration file: one of its own, or a path")
    optimise: Literal["Performance", "Size"] = Field("Performance", description="inference time or peak SRAM")


def make(config: Config, artifact: Path, out: Path, *, context: FirmwareContext) -> dict[str, Any]:
    """Compile a file for the NPU and write it as an array with its header.

    Cycles and memories are Vela's estimate from its model of the NPU
    (https://pypi.org/project/ethos-u-vela/, ``OPTIONS.md`` and ``PERFORMANCE.md`` there): nothing has run.

    Returns:
        ``files``, ``array_bytes``, ``arena_bytes`` (None: the NPU's scratch memory is in ``sram_bytes``),
        ``operations``, ``nodes`` and ``nodes_delegated`` with ``not_delegated`` (operations that stay on the
        processor), and the estimate: ``cycles``, ``inference_ms`` at ``clock_mhz``, ``macs``, ``sram_bytes``,
        ``dram_bytes``, ``flash_bytes``.

    Raises:
        MissingError: Vela is not installed.
        ConversionError: It refuses the file or the configuration.
    """
    if find_spec("ethosu") is None:
        raise MissingError(
            "the compiler for Ethos-U, Vela, is not installed",
            fix="pip install 'edgepack[micro]', or ethos-u-vela alone",
        )
    name = _source.identifier(context.name, context.precision, config.accelerator)
    with TemporaryDirectory(prefix="edgepack-vela-") as folder:
        words = [
            "--accelerator-config",
            config.accelerator,
            "--config",
            config.config_file,
            "--optimise",
            config.optimise,
        ]
        words += ["--system-config", config.system_config, "--memory-mode", config.memory_mode, "--output-dir", folder]
        done = proc.run([sys.executable, "-m", "ethosu.vela", str(artifact), *words], timeout_s=TIMEOUT_S)
        compiled = Path(folder) / f"{artifact.stem}_vela.tflite"
        summaries = sorted(Path(folder).glob("*_summary_*.csv"))
        if done.returncode or not compiled.exists() or not summaries:
            raise ConversionError(
                f"Vela does not compile {artifact.name} for {config.accelerator}: {done.tail() or done.returncode}",
                fix="correct the target's firmware section, or export int8: the NPU computes in integers only",
            )
        content = compiled.read_bytes()
        with summaries[0].open(newline="") as file:
            estimate = next(csv.DictReader(file))
    before, after = _source.operations(artifact.read_bytes()), _source.operations(content)
    left = [f"{kind} {tensor}" for kind, tensor in after if kind != NPU]
    methods = list(dict.fromkeys("EthosU" if kind == NPU else _source.method(kind) for kind, _ in after))
    facts = {"SRAM_BYTES": _bytes(estimate, "sram"), "NPU_CYCLES": round(float(estimate["cycles_total"]))}
    return {
        "files": _source.write(out, name, content, methods, context, facts),
        "array_bytes": len(content),
        "arena_bytes": None,
        "operations": methods,
        "accelerator": config.accelerator,
        "delegate": config.accelerator,
        "nodes": len(before),
        "nodes_delegated": len(before) - len(left),
        "not_delegated": left,
        "cycles": round(float(estimate["cycles_total"])),
        "clock_mhz": float(estimate["core_clock"]) / 1e6,
        "inference_ms": float(estimate["inference_time"]) * 1e3,
        "macs": int(float(estimate["nn_macs"])),
        "sram_bytes": _bytes(estimate, "sram"),
        "dram_bytes": _bytes(estimate, "dram"),
        "flash_bytes": _bytes(estimate, "on_chip_flash") + _bytes(estimate, "off_chip_flash"),
    }


def _bytes(estimate: dict[str, str], memory: str) -> int:
    """Vela tells KiB."""
    return round(float(estimate[f"{memory}_memory_used"]) * 1024)
