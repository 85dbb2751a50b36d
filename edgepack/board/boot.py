"""How is the virtual board started, so that each start is the first one, and switched off?"""

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgepack import proc
from edgepack.board.image import program
from edgepack.errors import DeviceError

PROCESSORS = ("cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1", "max")
PROCESSOR = "cortex-a72"
MEMORY_MIB = 512
ALIAS = "board"
BOOT_S = 180.0
OFF_S = 20.0

# 2^3 ns for each instruction. Idle time passes as the host's does: what waits for the network would spin otherwise.
INSTRUCTIONS = "shift=3,align=off,sleep=on"


@contextmanager
def booted(board: Path, *, processor: str, kept: Path | None = None, counting: bool = True) -> Iterator[list[str]]:
    """Start a board on which nothing has run before, and switch it off.

    Args:
        board: The folder of an `image`.
        processor: One of PROCESSORS.
        kept: A disk with what the device keeps already, for ``~/.cache`` there.
        counting: Whether its clock counts instructions; without it the board is some times as fast, and no clock.

    Yields:
        Words that start ssh with the board as the host ``board``.

    Raises:
        MissingError: QEMU is not installed.
        DeviceError: The board does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="edgepack-") as name:
        folder = Path(name)
        port = _free_port()
        ssh = ["ssh", "-F", str(_configuration(board, folder, port))]
        with (
            (folder / "qemu.log").open("wb") as log,
            proc.started(_qemu(board, folder, port, processor, kept, counting), env=None, stderr=log) as machine,
        ):
            end = time.monotonic() + BOOT_S
            while proc.run([*ssh, ALIAS, "true"], timeout_s=60).returncode != 0:
                if machine.poll() is not None or time.monotonic() > end:
                    raise DeviceError(
                        f"the virtual board did not start: {_last_words(folder)}",
                        fix=f"start it again; if that does not help, remove {board}: it is built anew then",
                    )
                time.sleep(0.1)
            try:
                yield ssh
            finally:
                if machine.poll() is None:
                    proc.run([*ssh, ALIAS, "busybox poweroff -f"], timeout_s=60)
                    end = time.monotonic() + OFF_S
                    while machine.poll() is None and time.monotonic() < end:
                        time.sleep(0.05)


def _qemu(board: Path, folder: Path, port: int, processor: str, kept: Path | None, counting: bool) -> Sequence[str]:
    disks = [board / "board.ext4", *([kept] if kept else [])]
    drives: list[str] = []
    for number, disk in reversed(list(enumerate(disks))):  # the last one is the board's first
        drives += ["-drive", f"file={disk},if=none,id=d{number},format=raw,cache=unsafe,file.locking=off"]
        drives += ["-device", f"virtio-blk-device,drive=d{number}"]
    return [
        *(program("qemu-system-aarch64"), "-M", "virt", "-cpu", processor, "-smp", "1", "-m", str(MEMORY_MIB)),
        *(("-icount", INSTRUCTIONS) if counting else ()),
        *("-snapshot", "-no-reboot", "-display", "none", "-monitor", "none"),
        *("-serial", f"file:{folder}/console.log"),
        *("-kernel", str(board / "vmlinuz"), "-initrd", str(board / "initrd")),
        *("-append", "console=ttyAMA0 quiet panic=-1"),
        *drives,
        *("-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-device,netdev=n0"),
    ]


def _configuration(board: Path, folder: Path, port: int) -> Path:
    """Ssh's configuration for one start: the key, and the only host key that the board may have."""
    key = folder / "key"
    shutil.copyfile(board / "id_board", key)
    key.chmod(0o600)
    kind, public = (board / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {public}\n")
    lines = {
        "HostName": "127.0.0.1",
        "Port": port,
        "User": "root",
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": 5,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": folder / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    path = folder / "config"
    path.write_text(f"Host {ALIAS}\n" + "".join(f"  {name} {value}\n" for name, value in lines.items()))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(folder: Path) -> str:
    found = [
        line for name in ("console.log", "qemu.log") if (folder / name).is_file()
        for line in (folder / name).read_text(errors="replace").splitlines() if line.strip()
    ]  # fmt: skip
    return found[-1] if found else "it said nothing"
