"""Where does what libraries print go, when a single command runs them outside of a run's folder?"""

import os
import tempfile
from pathlib import Path

from edgepack import resources

KEPT = 20
"""Logs of so many commands are kept; older ones go."""


def place(verb: str) -> Path:
    """The log of this command: ``$XDG_CACHE_HOME/edgepack/logs/VERB-PROCESS.log``.

    Where nothing can be written there, as in a read-only home, a temporary file takes its place.
    """
    folder = resources.kept("logs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{verb}-{os.getpid()}.log"
        path.touch()
        for old in sorted(folder.glob("*.log"), key=lambda one: -one.stat().st_mtime_ns)[KEPT:]:
            old.unlink(missing_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="edgepack-log-")) / f"{verb}.log"
    return path
