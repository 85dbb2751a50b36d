"""What does a run tell while it works?"""

from collections.abc import Mapping
from typing import Any, Protocol


class Observer(Protocol):
    """Is told what a run does; the command line shows it, a script may ignore it."""

    def started(self, stage: str, label: str) -> None:
        """A stage begins to work; ``label`` says on what."""

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """A stage goes on: ``text``, and ``step`` of ``steps`` where they are known."""

    def finished(self, stage: str, label: str, *, seconds: float, cached: bool, peak_mib: float | None = None) -> None:
        """A stage is complete; ``cached``: nothing had to be done; ``peak_mib``: memory that it took, MiB."""

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

    def finished(self, stage: str, label: str, *, seconds: float, cached: bool, peak_mib: float | None = None) -> None:
        """See `Observer`."""

    def warned(self, stage: str, label: str, message: str) -> None:
        """See `Observer`."""

    def failed(self, stage: str, label: str, message: str) -> None:
        """See `Observer`."""
