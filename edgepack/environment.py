"""On what machine, with which versions, is edgepack running?"""

import os
import platform
from functools import cache
from pathlib import Path

from edgepack import __version__, tf_environment
from edgepack.store import versions

PACKAGES = (
    "edgepack",
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "onnx",
    "tf2onnx",
    "onnxruntime",
    "ai-edge-litert",
    "numpy",
    "docker",
)


@cache
def describe() -> dict[str, str | int | None]:
    """Versions of what edgepack works with, and the machine's processor; JSON-ready."""
    return {
        "python": platform.python_version(),
        **versions(*PACKAGES),
        "edgepack": __version__,
        tf_environment.ONEDNN: tf_environment.onednn(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def cpu_model() -> str:
    """The processor's name as the kernel gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware"):
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def host_platform() -> str:
    """``linux/amd64`` or ``linux/arm64``: this machine as images name it."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    return f"{platform.system().lower()}/{machine}"
