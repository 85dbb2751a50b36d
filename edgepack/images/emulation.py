"""How does an image of another architecture run here, by QEMU's user mode, without results that are silently wrong?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgepack.errors import MissingError

FOLDER = Path(__file__).resolve().parent
NOT_STARTED = (126, 127)
"""What a container's first process exits with when the kernel refuses the program; the runner has no such codes."""


@dataclass(frozen=True)
class Processor:
    """A processor that is emulated: QEMU's name for it, and the ``/proc/cpuinfo`` that Linux shows on it.

    The two belong together. LiteRT and ONNX Runtime choose their kernels by that file, which under emulation is the
    host's: they crash on it. With the file of one processor and QEMU's default one, int8 results are wrong without
    any error.

    Attributes:
        name: As in QEMU_CPU.
        cpuinfo: The file to show in place of the host's.
    """

    name: str
    cpuinfo: Path

    def environment(self) -> dict[str, str]:
        """What the emulator must find in its environment."""
        return {"QEMU_CPU": self.name}

    def mounts(self) -> dict[str, Path]:
        """What must lie where in the container, read-only."""
        return {"/proc/cpuinfo": self.cpuinfo}


PROCESSORS: Mapping[str, Processor] = {"arm64": Processor("cortex-a72", FOLDER / "cortex-a72.cpuinfo")}
"""What stands for each architecture; a Cortex-A72 is the Raspberry Pi 4's, without later integer instructions."""


def processor(image: str, architecture: str, engine: str) -> Processor | None:
    """The processor to emulate for an image, or None where the engine's own runs it.

    Args:
        image: The image's name, for the message.
        architecture: The image's, such as `arm64`.
        engine: The engine's.

    Raises:
        MissingError: The architecture is another one and nothing is known to stand for it.
    """
    if architecture == engine:
        return None
    if architecture not in PROCESSORS:
        raise MissingError(
            f"the image {image} is for {architecture}, this engine runs on {engine}; "
            f"only {', '.join(PROCESSORS)} can be emulated here",
            fix="run it on a machine of its own architecture",
        )
    return PROCESSORS[architecture]


def missing(image: str, architecture: str, engine: str) -> MissingError:
    """The error for an engine whose kernel has no emulator."""
    return MissingError(
        f"the image {image} is for {architecture}, this engine runs on {engine} and has no emulator for it",
        fix="on the engine's machine, as root: apt-get install qemu-user-static binfmt-support",
    )
