"""How does work run on the virtual board: an arm64 machine, new at each start, whose clock counts instructions?

It is reached by ssh, as any board. The runner and the packages of the runtimes are on a disk of it when it starts, and
only the models are sent: the same program on the same disk runs the same instructions.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from edgepack.board import boot, image
from edgepack.errors import RecipeError
from edgepack.images import bytecode
from edgepack.proc import Completed
from edgepack.protocol import Protocol
from edgepack.store import key_of
from edgepack.suggest import did_you_mean
from edgepack.transports import Device, _packages, _parcels, quiet
from edgepack.transports._closing import Closing
from edgepack.transports._openssh import Address
from edgepack.transports.ssh import Ssh

MACHINE = _packages.Machine("linux/arm64", "3.11")
SPARE_MIB = 128

# Seconds of the board's own time. The count repeats: a few runs tell as much as many.
PROTOCOL = Protocol(warmup_s=0.02, min_runs=20, min_time_s=0.0, max_time_s=2.0)


class Board(Closing):
    """One start of the board, at the first thing that it is asked.

    Attributes:
        device: The simulated device.
        say: Called with one line before something that takes a while.
    """

    def __init__(self, processor: str = boot.PROCESSOR) -> None:
        suffix = "" if processor == boot.PROCESSOR else f":{processor}"
        self.device = Device(f"board{suffix}", f"board{suffix}".replace(":", "-"), simulated=True)
        self.say: Callable[[str], None] = quiet
        self._processor = processor
        self._stack = ExitStack()
        self._pushed: list[tuple[Path, PurePosixPath]] = []
        self._ssh: Ssh | None = None

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """See `Transport`."""
        self._started(()).push(local, remote)

    def run(self, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None) -> Completed:
        """Run a program on the board; see `Transport`. The limit is one of real time."""
        return self._started(()).run(argv, timeout_s=timeout_s, env=env)

    def protocol(self, asked: Protocol) -> Protocol:
        """How long a measurement goes on here: simulated seconds are long ones."""
        return replace(PROTOCOL, quick=asked.quick, processes=asked.processes)

    def ask(self, words: Sequence[str | Path], *, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Ask the runner on the board; see `Transport`. The limit is one of real time."""
        return self._started(_packages.runtimes(words)).ask(words, timeout_s=timeout_s)

    def close(self) -> None:
        """Switch it off; nothing that was written there stays."""
        self._stack.close()
        self._ssh = None

    def _started(self, runtimes: Sequence[str]) -> Ssh:
        if self._ssh is None:
            folder = image.ready(self.say)
            kept = self._disk(folder, runtimes) if runtimes else None
            self.say("starting the virtual board")
            program = self._stack.enter_context(boot.booted(folder, processor=self._processor, kept=kept))
            ssh = Ssh(Address(boot.ALIAS), device=self.device, program=program)
            self._ssh = self._stack.enter_context(ssh)
            self._ssh.say = self.say
        return self._ssh

    def _disk(self, folder: Path, runtimes: Sequence[str]) -> Path:
        """A disk with what `Ssh` would send for these runtimes; made once for each combination of versions."""
        with ExitStack() as stack:
            packages = _packages.packages(runtimes, MACHINE, stack, self.say)
            parcels = (_packages.runner(), *packages)
            disk = folder / f"kept-{key_of([parcel.key for parcel in parcels])}.ext4"
            if disk.is_file():
                return disk
            self.say(f"making a disk for the board: {', '.join(parcel.name for parcel in parcels)}")
            work = disk.with_suffix(".tmp")
            shutil.rmtree(work, ignore_errors=True)
            for parcel in parcels:
                place = work / "disk" / "edgepack" / "device" / "parcels" / parcel.key
                compiled = bytecode.compile_entries(
                    parcel.entries, work / "sources" / parcel.key, MACHINE.python_version, self.say
                )
                _parcels.unpack([*parcel.entries, *compiled.values()], place)
            size = sum(parcel.size_bytes for parcel in parcels) // 2**20
            image.disk(work / "disk", work / "disk.ext4", 2 * size + SPARE_MIB)
            (work / "disk.ext4").rename(disk)
            shutil.rmtree(work)
        return disk


def connect(address: str = "") -> Board:
    """The virtual board.

    Args:
        address: Nothing, or the processor that QEMU is to be.

    Raises:
        RecipeError: It is no processor that is known.
    """
    if address and address not in boot.PROCESSORS:
        raise RecipeError(
            f"the virtual board got the processor {address!r}; expected one of: {', '.join(boot.PROCESSORS)}",
            fix=did_you_mean(address, boot.PROCESSORS) or "write just: board",
        )
    return Board(address or boot.PROCESSOR)
