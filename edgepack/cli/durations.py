"""How long did the same piece of work take last time?"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edgepack import resources

FILE = "durations.json"
MOST = 500
"""Pieces of work that are remembered; the oldest go."""

WORTH_S = 0.5
"""Shorter ones are not remembered: nobody asks how long they will take."""


class Durations:
    """Seconds that pieces of work took, by their names, kept between commands; never in the way when it cannot be.

    Args:
        path: The file; None = ``$XDG_CACHE_HOME/edgepack/durations.json``.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or resources.kept("") / FILE

    def expected(self, names: Iterable[str]) -> float | None:
        """Seconds of the first of the names that is known; None when none is."""
        known = self._read()
        return next((known[name] for name in names if name in known), None)

    def note(self, names: Iterable[str], seconds: float) -> None:
        """Remember what a piece of work took, under each of its names."""
        if seconds < WORTH_S:
            return
        from edgepack.store import write_atomic

        known = self._read()
        for name in names:
            known.pop(name, None)  # to the end: it is the newest
            known[name] = round(seconds, 1)
        newest = dict(list(known.items())[-MOST:])
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._path, json.dumps(newest, indent=0) + "\n")

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {str(name): float(value) for name, value in found.items() if isinstance(value, int | float)}
