"""What does a run tell while it works?"""

from collections.abc import Mapping
from typing import Any, Protocol


class Observer(Protocol):
    """Is told what a run does; the command line shows it, a script may ignore it."""

    def started(self, stage: str, label: str) -> None:
        """A stage begins to work; ``label`` says on what."""

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """A stage goes on: ``text``, and ``step`` of ``steps`` where they are known."""

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
        """A stage is complete.

        Args:
            stage: Its name.
            label: What it worked on.
            seconds: How long it took, or had taken.
            cached: Nothing had to be done.
            peak_mib: Memory that it took, MiB.
            note: What else is worth a glance.
        """

    def skipped(self, stage: str, reason: str) -> None:
        """A stage has nothing to do in this run, and why."""

    def warned(self, stage: str, label: str, message: str) -> None:
        """A stage found something that the person who runs the recipe should know."""

    def failed(self, stage: str, label: str, message: str) -> None:
        """A stage failed for one target; the others go on."""


class Silent:
    """An observer that shows nothing."""

    def started(self, stage: str, label: str) -> None:
        """See `Observer`."""

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """See `Observer`."""

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
        """See `Observer`."""

    def skipped(self, stage: str, reason: str) -> None:
        """See `Observer`."""

    def warned(self, stage: str, label: str, message: str) -> None:
        """See `Observer`."""

    def failed(self, stage: str, label: str, message: str) -> None:
        """See `Observer`."""
