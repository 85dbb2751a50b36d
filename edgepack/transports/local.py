"""How does work run on this very machine, in a folder of its own?"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edgepack import proc
from edgepack.errors import MissingError, RecipeError
from edgepack.resources import PACKAGE
from edgepack.transports import Device, document, inside, quiet
from edgepack.transports._closing import Closing


class Local(Closing):
    """This machine; what is pushed goes to a temporary folder, which is where programs start."""

    device = Device("local", "local")

    def __init__(self) -> None:
        self.say: Callable[[str], None] = quiet
        self._folder = Path(tempfile.mkdtemp(prefix="edgepack-"))

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file or a folder into the working folder; see `Transport`."""
        copy(local, self._folder / inside(remote))

    def run(self, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None) -> proc.Completed:
        """Run a program in the working folder; see `Transport`."""
        return proc.run(argv, timeout_s=timeout_s, cwd=self._folder, env={**os.environ, **(env or {})})

    def ask(self, words: Sequence[str | Path], *, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Run this very edgepack's runner, installed or not, on the files where they lie; see `Transport`."""
        given = [str(word.resolve()) if isinstance(word, Path) else word for word in words]
        argv = [sys.executable, "-m", "edgepack.runner", *given]
        return document(self.run(argv, timeout_s=timeout_s, env={"PYTHONPATH": str(PACKAGE.parent)}))

    def close(self) -> None:
        """Remove the working folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


def connect(address: str = "") -> Local:
    """This machine.

    Raises:
        RecipeError: An address was given.
    """
    if address:
        raise RecipeError(f"local takes no address, but got {address!r}", fix="write just: local")
    return Local()


def copy(local: Path, to: Path) -> None:
    """Copy a file or a whole folder, without caches of Python; an older copy is replaced.

    Raises:
        MissingError: There is no ``local``.
    """
    if not local.exists():
        raise MissingError(f"there is no file or folder {local}", fix="check the path")
    to.parent.mkdir(parents=True, exist_ok=True)
    if local.is_file():
        shutil.copyfile(local, to)
        return
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(local, to, ignore=shutil.ignore_patterns("__pycache__"))
