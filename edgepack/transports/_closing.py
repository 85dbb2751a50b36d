"""How is a device let go at the end of a ``with``?"""

from types import TracebackType
from typing import Self


class Closing:
    """A context manager that closes itself, whatever happened."""

    def close(self) -> None:
        """Let go; twice is safe."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
