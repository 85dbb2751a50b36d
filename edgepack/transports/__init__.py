"""How does work reach a device? Two methods, `push` and `run`; one file in this folder for each way.

A transport module has one function, ``connect(address, **options)``, that returns an object as `Transport`
describes. In ``ssh://user@host`` or ``docker:IMAGE`` the part before the colon is the module's name and the
rest is its address.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Protocol, Self, cast

from edgepack import extensions
from edgepack.proc import Completed


class Transport(Protocol):
    """One instance is one device; a context manager that leaves nothing behind, closing it twice is safe."""

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Put a copy of a file or a folder on the device.

        Args:
            local: What to copy.
            remote: Where to, relative to the folder in which `run` starts programs; a folder's own name is
                replaced.

        Raises:
            MissingError: There is no ``local``.
            DeviceError: The device did not take it.
        """

    def run(self, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None) -> Completed:
        """Run a program on the device to its end and keep its output.

        Args:
            argv: The program and its arguments, never given to a shell.
            timeout_s: Seconds after which it is killed.
            env: Environment variables to set besides the device's own.

        Returns:
            What it left; an exit code other than 0 is a result, and no error here.

        Raises:
            DeviceError: It did not finish in time, or the device was lost.
        """

    def close(self) -> None:
        """Remove what was pushed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def connect(device: str, **options: Any) -> Transport:
    """Open the transport for a device as the user writes it.

    Args:
        device: ``"local"``, ``"docker:IMAGE"``, or another transport's name, a colon and an address.
        options: What the transport's ``connect`` takes besides the address.

    Raises:
        RecipeError: There is no such transport, or the address is wrong.
        MissingError: What the transport works with is not there.
    """
    name, _, address = device.partition(":")
    module = extensions.load(__name__, name)
    return cast(Transport, module.connect(address.removeprefix("//"), **options))


def inside(remote: PurePosixPath) -> PurePosixPath:
    """A remote path, if it stays inside the device's working folder.

    Raises:
        ValueError: It is absolute, empty, or climbs out.
    """
    if remote.is_absolute() or ".." in remote.parts or not remote.parts:
        raise ValueError(f"remote path {str(remote)!r}; expected one inside the device's working folder")
    return remote
