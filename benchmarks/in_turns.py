"""How are two ways compared on a machine whose speed changes within minutes?

Both are programs that are running, and one of them is stopped at any time: they take turns of two seconds, so that both
meet the same machine.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

TURN_S = 2.0
POLL_S = 0.005


def seconds(left: Sequence[str], right: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> tuple[float, float]:
    """Run two programs in turns until both are done; returns how long each ran.

    Each says by `ready` that it has prepared itself: from there on it is counted, without the time that it is stopped.

    Args:
        left: A program and its arguments; it may start others.
        right: As ``left``.
        env: Environment of both.
        cwd: Working directory of both.

    Raises:
        SystemExit: A program failed.
    """
    sides: list[_Side] = []
    try:
        for argv in (left, right):
            sides.append(_Side(argv, env, cwd))
            sides[-1].prepare()
        while unfinished := [side for side in sides if not side.done]:
            for side in unfinished:
                side.turn()
    finally:
        for side in sides:
            side.end()
    first, second = (side.seconds for side in sides)
    return first, second


def ready() -> None:
    """Stop this program until its first turn."""
    os.kill(os.getpid(), signal.SIGSTOP)


class _Side:
    """One of the two programs, with all that it starts."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.process = subprocess.Popen(argv, env=env, cwd=cwd)
        self.seconds = 0.0
        self.done = False

    def prepare(self) -> None:
        """Wait until it is ready."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._ended(os.waitstatus_to_exitcode(status))
            raise SystemExit(f"{self.process.args!r} ended before it was ready")

    def turn(self) -> None:
        """Let it run for a turn, or to its end."""
        start = time.monotonic()
        _continue(self.process.pid)
        while time.monotonic() - start < TURN_S and not self.done:
            time.sleep(POLL_S)
            found, status = os.waitpid(self.process.pid, os.WNOHANG)
            if found:
                self._ended(os.waitstatus_to_exitcode(status))
        if not self.done:
            _stop(self.process.pid)
        self.seconds += time.monotonic() - start

    def _ended(self, code: int) -> None:
        """Note that it is over, or give up when it failed."""
        self.process.returncode, self.done = code, True
        if code:
            raise SystemExit(f"{self.process.args!r} ended with code {code}")

    def end(self) -> None:
        """Make sure that nothing of it is left."""
        if not self.done:
            for pid in _stop(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


def _stop(pid: int) -> list[int]:
    """Stop a process and then all that it has started, whatever session they are in; returns who was stopped."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    return [pid, *(found for child in _children(pid) for found in _stop(child))]


def _continue(pid: int) -> None:
    """Let a process and all that it has started run on."""
    for child in _children(pid):
        _continue(child)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    """Processes that a process has started, as Linux lists them."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found
