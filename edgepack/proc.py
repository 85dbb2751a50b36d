"""How does edgepack run other programs: argument lists, logged, bounded, with their output shown on failure?"""

import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgepack.errors import DeviceError, MissingError

log = logging.getLogger("edgepack.proc")

TAIL_LINES = 15


@dataclass(frozen=True)
class Completed:
    """What a finished program left: its exit code and both of its outputs as text."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def tail(self) -> str:
        """The last lines that the program printed, for an error message."""
        lines = (self.stderr or self.stdout).strip().splitlines()
        return "\n".join(lines[-TAIL_LINES:])


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> Completed:
    """Run a program to its end and keep its output.

    Args:
        argv: Program and arguments; never given to a shell.
        timeout_s: Seconds after which the program is killed.
        env: The whole environment, or None for this process's own.
        cwd: Working folder, or None for this process's own.
        stdin: Text for its standard input; nothing is inherited.

    Raises:
        MissingError: The program is not installed.
        DeviceError: It did not finish in time.
    """
    log.info("run: %s", shlex.join(argv))
    try:
        done = subprocess.run(
            list(argv),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=env,
            cwd=cwd,
            input=stdin if stdin is not None else "",
            check=False,
        )
    except FileNotFoundError as error:
        raise MissingError(
            f"the program {argv[0]!r} is not installed", fix=f"install it, or put {argv[0]!r} on the PATH"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"{shlex.join(argv)} did not finish within {timeout_s:g} s", fix="look at its log, or try again"
        ) from error
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


@contextmanager
def started(
    argv: Sequence[str], *, env: Mapping[str, str] | None, stderr: IO[bytes]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program that is talked to through pipes, and make sure that it is gone at the end.

    It gets a session of its own, so that Ctrl-C reaches edgepack alone, which then ends it.

    Raises:
        MissingError: The program is not installed.
    """
    log.info("start: %s", shlex.join(argv))
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise MissingError(
            f"the program {argv[0]!r} is not installed", fix=f"install it, or put {argv[0]!r} on the PATH"
        ) from error
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
