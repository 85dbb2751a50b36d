"""What does a real command make of a file that ended a process, or reached something new?"""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from . import readers, seeds
from .engine import MEMORY_GIB

TIMEOUT_S = 400
"""For one command: a measurement gives up after 301 s."""

NEVER = (1, 130)
"""Exit codes that no file may give: a bug, an interruption."""


def run(name: str, path: Path, folder: Path) -> tuple[str, str]:
    """Give a copy of a file to the command that reads such files.

    Returns:
        ``exit code N``, or ``bug`` or ``hang``; what it said, for the latter.
    """
    reader = readers.load(name)
    work = folder / name / "command"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    given = work / f"input{reader.SUFFIX}"
    shutil.copyfile(path, given)
    return _run(reader.command(given, folder / "seeds", work), work)


def _run(words: list[str], work: Path) -> tuple[str, str]:
    """How a command ended: ``exit code N`` where that is an error that edgepack explains."""
    argv = [sys.executable, "-m", "edgepack.cli.main", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(seeds.ROOT), os.environ.get("PYTHONPATH", "")])}
    with (work / "stderr").open("w+b") as stderr:
        process = subprocess.Popen(
            argv, env=environment, cwd=work, stdout=subprocess.DEVNULL, stderr=stderr, preexec_fn=_limited,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "hang", f"no end within {TIMEOUT_S} s"
        finally:
            process.kill()
            process.wait()
    said = (work / "stderr").read_text(errors="replace")
    if code in NEVER or code < 0 or "Traceback" in said or (code and "error: " not in said):
        return f"bug (exit code {code})", said[-3000:]
    return f"exit code {code}", ""


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_GIB << 30, MEMORY_GIB << 30))
