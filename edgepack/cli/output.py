"""How does the command line show progress, results and failures?"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edgepack.cli.durations import Durations
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160
"""Columns of a table that goes into a file or a pipe."""

LONG_S = 2.0
"""Work that takes longer tells how long."""

AGAIN_S = 15.0
"""Where no live line can be shown, a line tells how far the work is, no more often than that."""


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


def results() -> "Console":
    """The console for results: standard output, with tables as wide as they are where nobody's window ends."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE)


def say_next(*commands: str, beside: bool = False) -> None:
    """Name the commands that one would give next; the last lines of what a verb prints.

    Args:
        commands: As one would type them.
        beside: On standard error, beside results that are meant for other programs, too.
    """
    stream = sys.stderr if beside else sys.stdout
    stream.write("\nnext:\n" + "".join(f"  {command}\n" for command in commands))


def left(seconds: float) -> str:
    """A time for people: ``0:05``, ``12:30``, ``1:05:00``."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spent(elapsed_s: float, expected_s: float | None) -> str:
    """The time left of work that took ``expected_s`` last time, or the time that it has taken so far."""
    if expected_s is not None and expected_s > elapsed_s:
        return f"about {left(expected_s - elapsed_s)} left"
    return f"{left(elapsed_s)} so far"


class Progress:
    """Shows what works on standard error: a live line with the time left on a terminal, plain lines elsewhere.

    Work whose steps are counted tells the time left itself; other work is expected to take as long as last time.

    Args:
        quiet: Show nothing.
        about: What is worked on, such as a recipe's path: the same work on something else may take another time.
        durations: What is known of earlier times; None = what earlier commands noted.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        about: str = "",
        durations: Durations | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        class Left(ProgressColumn):
            def render(self, task: Task) -> Text:
                if task.total is not None and task.time_remaining is not None:
                    return Text(f"{left(task.time_remaining)} left")
                return Text(spent(task.elapsed or 0.0, task.fields["expected_s"]))

        self._console = console()
        self._quiet = quiet
        self._about = about
        self._durations = durations or Durations()
        self._clock = clock
        self._live = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            Left(),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._live.add_task("", total=None, detail="", expected_s=None)
        self._work: tuple[str, ...] = ()
        self._begun = self._said = clock()
        self._expected_s: float | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._work and error is None:
            self._durations.note(self._work, self._clock() - self._begun)
        self._live.stop()

    def started(self, stage: str, label: str) -> None:
        """See `edgepack.events.Observer`."""
        title = f"{stage} {label}".strip()
        self._work = (f"{self._about} {title}".strip(), stage)
        self._begun = self._said = self._clock()
        self._expected_s = self._durations.expected(self._work)
        self._live.reset(self._task, description=title, total=None, detail="", expected_s=self._expected_s)
        if not self._quiet and not self._console.is_terminal:
            about = f" (about {left(self._expected_s)})" if self._expected_s and self._expected_s > LONG_S else ""
            self._say(f"  … {title}{about}")

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """See `edgepack.events.Observer`."""
        self._live.update(
            self._task,
            description=str(event.get("label", stage)),
            total=event.get("steps"),
            completed=event.get("step", 0),
            detail=str(event.get("text", ""))[:80],
        )
        if not self._console.is_terminal and self._clock() - self._said > AGAIN_S:
            self._said = self._clock()
            self._say(f"    {event.get('label', stage)}: {self._where(event)}")

    def _where(self, event: Mapping[str, Any]) -> str:
        """How far a stage is, for a log: its step, the time left or spent, what it says."""
        step, steps, now = event.get("step"), event.get("steps"), self._clock()
        text = f", {event['text']}" if event.get("text") else ""
        if not step or not steps:
            return spent(now - self._begun, self._expected_s) + text
        rest = (now - self._begun) / step * (steps - step)
        return f"{step} of {steps}, {left(rest)} left{text}"

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
        if not cached:
            self._durations.note(self._work, seconds)
        self._work = ()
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
        self._work = ()
        first, *_ = message.splitlines()
        self._say(f"  ✗ {f'{stage} {label}'.strip():<34} {first}")

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._live.console.print(line, markup=False, soft_wrap=True)
