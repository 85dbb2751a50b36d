"""What is a finding, and what is an error that edgepack explains?"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import edgepack
from edgepack.errors import BugError, EdgepackError
from edgepack.runner.errors import RunnerError

from .readers import Part

PACKAGE = str(Path(edgepack.__file__).parent)
LONGEST_MESSAGE = 20_000


@dataclass(frozen=True)
class Finding:
    """Something that no file may bring about.

    Attributes:
        key: The same for findings of one cause.
        part: What edgepack was doing.
        what: What happened.
    """

    key: str
    part: str
    what: str


def judge(part: Part) -> Finding | None:
    """Do one thing with a file; the finding, if it is one."""
    try:
        part.run()
    except EdgepackError as error:
        if isinstance(error, BugError):
            return Finding(f"BugError {_where(error)}", part.name, str(error))
        return _unclear(part, error, error.message, error.fix)
    except RunnerError as error:
        return _unclear(part, error, str(error), "-")
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        if part.explained and not frame.filename.startswith(PACKAGE):
            return None
        text = "".join(traceback.format_exception(error)[-12:])
        return Finding(f"{type(error).__name__} {_where(error)}", part.name, text[-6000:])
    return None


def _unclear(part: Part, error: Exception, message: str, fix: str) -> Finding | None:
    if not message.strip() or not fix.strip():
        return Finding(f"no sentence or fix {_where(error)}", part.name, repr(message))
    if len(message) > LONGEST_MESSAGE:
        return Finding(f"endless message {_where(error)}", part.name, message[:500])
    return None


def _where(error: BaseException) -> str:
    """The innermost line of edgepack's own code."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(PACKAGE)]
    if not own:
        return "outside edgepack"
    return f"{own[-1].filename.removeprefix(PACKAGE)}:{own[-1].lineno} {own[-1].name}"


class Writes:
    """Notices files that are written outside a folder, and programs that are started, by this process's Python code.

    Args:
        inside: Where writing is fine.
    """

    # The places of the path and of the folder that it starts at, among the arguments of each event.
    _CHANGED: ClassVar = {
        "os.mkdir": (0, 2),
        "os.remove": (0, 1),
        "os.rmdir": (0, 1),
        "os.chmod": (0, 2),
        "os.chown": (0, 3),
        "os.rename": (1, 3),
        "os.link": (1, 3),
        "os.symlink": (1, 2),
        "os.truncate": (0, None),
    }
    _STARTED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")

    def __init__(self, inside: Path) -> None:
        self._inside = str(inside.resolve())
        self._watching = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notice what happens meanwhile."""
        self.seen, self._watching = [], True
        try:
            yield
        finally:
            self._watching = False

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "open":
            path, mode, flags = args
            writes = any(letter in (mode or "") for letter in "wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and isinstance(path, str | bytes | os.PathLike):
                self._check(event, path, -1)
        elif event in self._CHANGED:
            place, start = self._CHANGED[event]
            self._check(event, args[place], -1 if start is None else args[start])
        elif event in self._STARTED:
            self.seen.append(f"{event} {args[:2]!r}"[:300])

    def _check(self, event: str, path: Any, start: int) -> None:
        if isinstance(path, int):
            return
        folder = Path.cwd() if start < 0 else Path(f"/proc/self/fd/{start}").readlink()
        full = os.path.realpath(folder / os.fsdecode(path))
        if full != "/dev/null" and "__pycache__" not in full and not full.startswith(self._inside + os.sep):
            self.seen.append(f"{event} {full}")
