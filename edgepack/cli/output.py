"""How does the command line show progress, results and failures?"""

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from rich.console import Console


def console() -> "Console":
    """The console for people: standard error, so that standard output stays clean for results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    json.dump(document, sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def print_error(error: EdgepackError, *, as_json: bool, code: int | None = None) -> None:
    """Print a failure on standard error and, with ``--json``, as the document on standard output."""
    exit_code = error.exit_code if code is None else code
    if as_json:
        print_json({"schema": "edgepack.error/1", "errors": [error_document(error, exit_code)]})
    sys.stderr.write(f"error: {error}\n")


def error_document(error: EdgepackError, exit_code: int | None = None) -> dict[str, Any]:
    """A failure as JSON-ready data."""
    return {
        "class": type(error).__name__,
        "message": error.message,
        "fix": error.fix,
        "exit_code": error.exit_code if exit_code is None else exit_code,
    }


class Progress:
    """Shows a run's progress on standard error: a live line on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._console = console()
        self._quiet = quiet
        self._live = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._live.add_task("", total=None, detail="")
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def started(self, stage: str, label: str) -> None:
        """See `edgepack.events.Observer`."""
        self._live.reset(self._task, description=f"{stage} {label}".strip(), total=None, detail="")
        if not self._quiet and not self._console.is_terminal:
            self._say(f"  … {stage} {label}".rstrip())

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """See `edgepack.events.Observer`."""
        self._live.update(
            self._task,
            description=str(event.get("label", stage)),
            total=event.get("steps"),
            completed=event.get("step", 0),
            detail=str(event.get("text", ""))[:80],
        )

    def finished(
        self,
        stage: str,
        label: str,
        *,
        seconds: float,
        cached: bool,
        peak_mib: float | None = None,
        note: str = "",
    ) -> None:
        """See `edgepack.events.Observer`."""
        took = "up to date" if cached else f"{seconds:.1f} s"
        memory = "" if cached or peak_mib is None else f", {peak_mib:,.0f} MiB"
        self._say(f"  ✓ {f'{stage} {label}'.strip():<34} {took}{memory}{f', {note}' if note else ''}")

    def skipped(self, stage: str, reason: str) -> None:
        """See `edgepack.events.Observer`."""
        self._say(f"  – {stage:<34} skipped: {reason}")

    def warned(self, stage: str, label: str, message: str) -> None:
        """See `edgepack.events.Observer`."""
        self._say(f"  ! {f'{stage} {label}'.strip():<34} {message}")

    def failed(self, stage: str, label: str, message: str) -> None:
        """See `edgepack.events.Observer`."""
        first, *_ = message.splitlines()
        self._say(f"  ✗ {f'{stage} {label}'.strip():<34} {first}")

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._live.console.print(line, markup=False, soft_wrap=True)
