"""How does the program ``adb`` find a phone, put files on it and run commands there, and what do its refusals mean?"""

import logging
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import AbsentError, AndroidError
from .turns import turn

log = logging.getLogger(__name__)

SHORT_S = 30.0
PUSH_S = 300.0
OVER_NETWORK = re.compile(r"[^:]+:\d{1,5}")
ENDED = "edgepack-exit-code:"
"""Printed behind a command's output, so that a connection that was cut is told from a command that ended."""

STATES = {
    "unauthorized": (
        "has not allowed this computer to debug it",
        "unlock it and accept the key that it shows; `adb kill-server` makes it ask again",
    ),
    "authorizing": ("is still deciding about this computer's key", "unlock it, accept the key, and try again"),
    "offline": (
        "is offline: it is connected and does not answer",
        "pull its cable and plug it in again, or restart it",
    ),
    "connecting": ("is still connecting", "try again in a moment"),
    "no permissions": (
        "may not be opened by this user",
        "allow it by udev rules (on Debian: apt-get install android-sdk-platform-tools-common), or run as its owner",
    ),
    "bootloader": ("is in its boot loader", "start Android on it"),
    "recovery": ("is in recovery mode", "start Android on it"),
    "sideload": ("is in sideload mode", "start Android on it"),
}
LOST = (
    "not found",
    "device offline",
    "no devices",
    "closed",
    "connection reset",
    "protocol fault",
    "broken pipe",
    "eof",
)


@dataclass(frozen=True)
class Said:
    """What a command on the phone left: its exit code, and its two outputs as one text."""

    exit_code: int
    text: str


class Adb:
    """One phone, through the program ``adb`` and its server.

    The server is the usual one: ``ADB_SERVER_SOCKET`` or ``ANDROID_ADB_SERVER_PORT`` say where another one is, and adb
    starts one where none runs on this machine.

    Args:
        serial: As ``adb devices`` prints it, ``host:port`` of a phone that listens, or None for the only one.
        env: The environment for adb; None for this process's own.

    Raises:
        AbsentError: There is no adb.
        AndroidError: There is no such phone, or more than one, or it cannot be used; the message says which.
    """

    def __init__(self, serial: str | None, *, env: Mapping[str, str] | None = None) -> None:
        self._env = dict(os.environ if env is None else env)
        # Of two that start the server at once one fails. A server elsewhere cannot be started, which is no failure.
        with turn("the adb server", longest_s=SHORT_S):
            self._run(["start-server"], timeout_s=SHORT_S)
        if serial is not None and OVER_NETWORK.fullmatch(serial):
            self._connect(serial)
        self.serial = choose(self._devices(), serial)

    def shell(self, script: str, *, timeout_s: float) -> Said:
        """Run a script of the phone's own shell to its end.

        Args:
            script: For ``sh``; values in it are to be quoted by `quoted`.
            timeout_s: Seconds after which it is given up.

        Raises:
            AndroidError: The phone was lost before the script ended, or it took too long.
        """
        # Blocks of their own: `exit` in the script ends the inner shell only, and very old adbd has no exit codes.
        done = self._run(
            ["-s", self.serial, "shell", f"( {script}\n) 2>&1 </dev/null; code=$?; echo; echo {ENDED}$code"],
            timeout_s=timeout_s,
        )
        text, mark, code = done.stdout.replace("\r\n", "\n").rpartition(ENDED)
        if not mark or not code.strip().isdigit():
            raise self._lost(f"while it ran a command; it last said: {_last(done.stdout) or 'nothing'}", done.stderr)
        return Said(int(code), text.removesuffix("\n"))

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file to the phone.

        Raises:
            AbsentError: The phone has no room for it.
            AndroidError: The phone did not take it, or was lost.
        """
        size_mib = local.stat().st_size / 2**20
        done = self._run(["-s", self.serial, "push", str(local), str(remote)], timeout_s=PUSH_S + size_mib)
        if done.returncode == 0:
            return
        said = f"{done.stdout}\n{done.stderr}"
        if "no space left" in said.lower():
            raise AbsentError(
                f"the phone {self.serial} has no room for {local.name} ({size_mib:.1f} MiB)",
                fix="free some on /data: `adb shell df /data/local/tmp` shows what is left",
            )
        if any(word in said.lower() for word in LOST):
            raise self._lost(f"while {local.name} was sent", said)
        reason = next((line for line in said.splitlines() if "error" in line), said)
        raise AndroidError(
            f"the phone {self.serial} did not take {local.name}: {_last(reason)}", fix="look at /data/local/tmp on it"
        )

    def pull(self, remote: PurePosixPath, local: Path) -> bool:
        """Copy a file from the phone; whether it was there.

        Raises:
            AndroidError: The phone was lost.
        """
        done = self._run(["-s", self.serial, "pull", str(remote), str(local)], timeout_s=PUSH_S)
        said = f"{done.stdout}\n{done.stderr}"
        if done.returncode != 0 and "does not exist" not in said and "No such file" not in said:
            raise self._lost(f"while {remote.name} was fetched", said)
        return done.returncode == 0

    def _lost(self, when: str, said: str) -> AndroidError:
        reason = f" (adb: {_last(said)})" if _last(said) else ""
        return AndroidError(
            f"the phone {self.serial} was lost {when}{reason}",
            fix="look at its cable or its network, keep it awake, and try again",
        )

    def _connect(self, address: str) -> None:
        """Let adb connect to a phone that listens; one that it has lost since then is connected anew."""
        if self._devices().get(address) == "offline":
            self._run(["disconnect", address], timeout_s=SHORT_S)
        said = self._run(["connect", address], timeout_s=SHORT_S)
        text = f"{said.stdout} {said.stderr}".strip()
        # One that has to be allowed first is in the list, and its state there says so.
        if "connected to" not in text and "failed to authenticate" not in text:
            self._run(["disconnect", address], timeout_s=SHORT_S)  # adb would list it as offline for ever
            raise AndroidError(
                f"no phone answers at {address}: {_last(text)}",
                fix="allow wireless debugging on it (adb tcpip 5555 over a cable first), and check address and network",
            )

    def _devices(self) -> dict[str, str]:
        """State of each phone by serial number."""
        done = self._run(["devices"], timeout_s=SHORT_S)
        if done.returncode != 0:
            raise AndroidError(
                f"no adb server answers: {_last(done.stderr or done.stdout)}",
                fix="check ADB_SERVER_SOCKET or ANDROID_ADB_SERVER_PORT, or start one: adb start-server",
            )
        return parse_devices(done.stdout)

    def _run(self, words: Sequence[str], *, timeout_s: float) -> "subprocess.CompletedProcess[str]":
        argv = ["adb", *words]
        log.info("run: %s", shlex.join(argv))
        try:
            return subprocess.run(
                argv,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=timeout_s,
                env=self._env,
                check=False,
            )
        except FileNotFoundError as error:
            raise AbsentError(
                "the program adb is not installed",
                fix="install it (on Debian: apt-get install adb), or put it on the PATH",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise AndroidError(
                f"adb {words[-1] if words[0] != '-s' else words[2]} did not finish within {timeout_s:g} s",
                fix="look whether the phone still answers: adb devices",
            ) from error


def parse_devices(text: str) -> dict[str, str]:
    """State of each phone by serial number, of what ``adb devices`` prints."""
    found = {}
    for line in text.splitlines():
        serial, tab, state = line.partition("\t")
        if tab and serial.strip():
            found[serial.strip()] = state.strip()
    return found


def choose(devices: Mapping[str, str], serial: str | None) -> str:
    """The serial number of the phone that is meant, if it can be used.

    Raises:
        AndroidError: There is none, there are several to choose from, or it is not in a usable state.
    """
    listed = ", ".join(f"{name} ({state})" for name, state in devices.items())
    if not devices:
        raise AndroidError(
            "adb sees no phone" if serial is None else f"adb sees no phone, and {serial} was asked for",
            fix="connect it, and allow USB debugging in its developer options",
        )
    if serial is None:
        if len(devices) > 1:
            raise AndroidError(f"adb sees several phones: {listed}", fix=f"name one: adb://{next(iter(devices))}")
        serial = next(iter(devices))
    if serial not in devices:
        raise AndroidError(f"adb sees no phone {serial}; it sees: {listed}", fix="name one of these, or connect it")
    state = devices[serial]
    if state == "device":
        return serial
    known = next((words for name, words in STATES.items() if state.startswith(name)), None)
    what, fix = known or (f"is in the state {state!r}; expected 'device'", "start Android on it, and try again")
    raise AndroidError(f"the phone {serial} {what}", fix=fix)


def quoted(words: Sequence[str | PurePosixPath]) -> str:
    """Words as the phone's shell takes them."""
    return shlex.join(str(word) for word in words)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
