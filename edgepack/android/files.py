"""How do files get onto a phone, each once, and are they there what they are here?"""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .adb import SHORT_S, Adb, quoted
from .errors import AbsentError, AndroidError, WordsError

FOLDER = PurePosixPath("/data/local/tmp/edgepack")
"""Where a shell of Android may write and start programs."""

# Processor numbers of ELF files (https://man7.org/linux/man-pages/man5/elf.5.html) and Android's names for them.
MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86", 243: "riscv64"}


class Store:
    """The folder on a phone that keeps what was sent, so that what has not changed is not sent again.

    Args:
        adb: The phone.
        hashes: Whether it has ``sha256sum``; without it everything is sent each time.
    """

    def __init__(self, adb: Adb, *, hashes: bool) -> None:
        self._adb = adb
        self._hashes = hashes
        self.sent: list[str] = []

    def put(self, local: Path, name: str, *, executable: bool = False) -> PurePosixPath:
        """Make sure that the phone has a file, and that it is this one.

        Args:
            local: The file on this machine.
            name: Its name there.
            executable: Whether it is started there.

        Returns:
            Its path on the phone.

        Raises:
            AbsentError: The phone has no room for it.
            AndroidError: It arrived as something else, or the phone was lost.
        """
        remote = FOLDER / name
        expected = digest(local)
        if self._hashes and self._digest(remote) == expected:
            return remote
        part = FOLDER / f"{name}.part"
        self._do(f"mkdir -p {quoted([FOLDER])}", f"the folder {FOLDER} could not be made")
        try:
            self._adb.push(local, part)
        except AbsentError:
            self._adb.shell(f"rm -f {quoted([part])}", timeout_s=SHORT_S)
            raise
        found = self._digest(part) if self._hashes else expected
        if found != expected:
            raise AndroidError(
                f"{local.name} arrived on the phone {self._adb.serial} as another file: sha256 {found}, not {expected}",
                fix="look at its storage and its cable, and try again",
            )
        mode = "755" if executable else "644"
        self._do(f"chmod {mode} {quoted([part])} && mv -f {quoted([part, remote])}", f"{name} could not be kept")
        self.sent.append(name)
        return remote

    def _digest(self, remote: PurePosixPath) -> str | None:
        said = self._adb.shell(f"sha256sum {quoted([remote])}", timeout_s=SHORT_S)
        return said.text.split()[0] if said.exit_code == 0 and said.text.split() else None

    def _do(self, script: str, failure: str) -> None:
        said = self._adb.shell(script, timeout_s=SHORT_S)
        if said.exit_code != 0:
            raise AndroidError(
                f"{failure} on the phone {self._adb.serial}: {' '.join(said.text.split())[:300]}",
                fix=f"look at it: adb shell ls -la {FOLDER}",
            )


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_program(path: Path, sha256: str | None, abis: Sequence[str]) -> str:
    """Check that a program is the one that was meant, and one that a phone can start.

    Args:
        path: ``benchmark_model`` on this machine.
        sha256: What its digest must be; None = anything.
        abis: The instruction sets of the phone; empty where it does not say.

    Returns:
        Its digest.

    Raises:
        AbsentError: There is none.
        WordsError: It is another file than was meant, or no program.
        AndroidError: The phone cannot run it.
    """
    if not path.is_file():
        raise AbsentError(
            f"LiteRT's benchmark_model for {abis[0] if abis else 'the phone'} is not there: expected the file {path}",
            fix="get it (docs/android.md says how) and put it there, or name another place: "
            "adb://SERIAL?benchmark_model=PATH, or android.benchmark_model in the target",
        )
    found = digest(path)
    if sha256 is not None and found != sha256:
        raise WordsError(
            f"{path} is not the program that was meant: its sha256 is {found}, expected {sha256}",
            fix="get the other one, or correct the sha256 in the target",
        )
    abi = instruction_set(path)
    if abi is not None and abis and abi not in abis:
        raise AndroidError(
            f"{path} is for {abi}, and the phone runs {', '.join(abis)}",
            fix=f"get the benchmark_model for {abis[0]}",
        )
    return found


def check_library(given: str) -> Path:
    """A shared object that the program loads, on this machine.

    Raises:
        AbsentError: There is none.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        raise AbsentError(f"there is no library {path} for the phone", fix="correct android.libraries in the target")
    return path


def instruction_set(path: Path) -> str | None:
    """Android's name for the processor that a program is for; None for a script.

    Raises:
        WordsError: It is no program.
    """
    with path.open("rb") as file:
        head = file.read(20)
    if head.startswith(b"#!"):
        return None
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        raise WordsError(f"{path} is no program for Android", fix="docs/android.md says how to get benchmark_model")
    machine = int.from_bytes(head[18:20], "little")
    return MACHINES.get(machine, f"processor {machine}")
