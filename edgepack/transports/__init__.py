"""How does work reach a device? Methods `push`, `run` and `ask`; one file in this folder for each way.

A transport module has one function, ``connect(address, **options)``, that returns an object as `Transport`
describes. In ``ssh://user@host`` or ``docker:IMAGE`` the part before the colon is the module's name and the
rest is its address.

A device on which no runner can run, since it has no Python, is measured by means of its own: its transport then
has a method ``bench``, as `Benches` describes. `edgepack.latency.bench` looks for it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from edgepack import extensions
from edgepack.errors import DeviceError, RecipeError
from edgepack.proc import Completed

if TYPE_CHECKING:
    from edgepack import protocol as protocols


@dataclass(frozen=True)
class Device:
    """Which device it is, as results name it.

    Attributes:
        address: As a user writes it after ``--on``.
        name: A short name that fits a file's name.
        simulated: Whether its clock tells something else than time, so that it is comparable with itself alone.
    """

    address: str
    name: str
    simulated: bool = False


class Transport(Protocol):
    """One instance is one device; a context manager that leaves nothing behind, closing it twice is safe.

    Attributes:
        device: Which one it is.
        say: Called with one line before something that takes a while; to be set by whoever wants to hear it.
    """

    device: Device
    say: Callable[[str], None]

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

    def ask(self, words: Sequence[str | Path], *, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Run a verb of the runner on the device and read the document that it prints.

        Args:
            words: The runner's words. Each that is a `Path` is a file or a folder of this machine: it is made
                available on the device, and its place there is what the runner gets. Of a bundle only what its
                manifest names as artifacts and golden samples is sent.
            timeout_s: Seconds after which the runner is killed.

        Returns:
            The document and the runner's exit code: 0, or 5 or 6 when a result of the document says so.

        Raises:
            RecipeError: The runner does not understand the words, or the file.
            MissingError: There is no such file, or the device lacks something that the runner needs.
            DeviceError: It gave no document, did not finish in time, or the device was lost.
        """

    def close(self) -> None:
        """Remove what was pushed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Benches(Protocol):
    """What a transport has besides, where the device's own means take the runner's place."""

    def bench(
        self,
        what: Path,
        *,
        artifacts: Sequence[str],
        runtime: str | None,
        threads: int | None,
        protocol: "protocols.Protocol",
    ) -> tuple[dict[str, Any], int]:
        """Measure, and describe it as the runner does.

        Args:
            what: A bundle's folder, or a model file.
            artifacts: Only these files of the bundle; all that the device can run when empty.
            runtime: Only this runtime.
            threads: Instead of the bundle's number, or 1.
            protocol: How long.

        Returns:
            A document of schema ``edgepack.latency/1`` and the exit code that the runner would have: 6 when a
            result has the status ``"error"``.

        Raises:
            RecipeError, MissingError, DeviceError: As `Transport.ask` does.
        """


def connect(device: str, *, say: Callable[[str], None] | None = None, **options: Any) -> Transport:
    """Open the transport for a device as the user writes it.

    Args:
        device: ``"local"``, ``"docker:IMAGE"``, or another transport's name, a colon and an address.
        say: Called with one line before something that takes a while.
        options: What the transport's ``connect`` takes besides the address.

    Raises:
        RecipeError: There is no such transport, or the address is wrong.
        MissingError: What the transport works with is not there.
    """
    name, _, address = device.partition(":")
    module = extensions.load(__name__, name)
    opened = cast(Transport, module.connect(address.removeprefix("//"), **options))
    if say is not None:
        opened.say = say
    return opened


def quiet(text: str) -> None:
    """Nobody wants to hear it."""


def document(done: Completed) -> tuple[dict[str, Any], int]:
    """What a finished runner printed, and its exit code.

    Raises:
        RecipeError: It does not understand its words, or the file.
        DeviceError: It printed no document.
    """
    try:
        found = json.loads(done.stdout)
    except ValueError as error:
        if done.returncode == RecipeError.exit_code:
            raise RecipeError(
                f"the runner refused: {done.tail().removeprefix('runner: ')}", fix="check the file and the options"
            ) from error
        raise DeviceError(
            f"the runner printed no result (exit code {done.returncode}): {done.tail()}",
            fix="start it by hand to see more: " + " ".join(done.argv),
        ) from error
    if not isinstance(found, dict):
        raise DeviceError(f"the runner printed no document but {type(found).__name__}", fix="see its output")
    return found, done.returncode


def inside(remote: PurePosixPath) -> PurePosixPath:
    """A remote path, if it stays inside the device's working folder.

    Raises:
        ValueError: It is absolute, empty, or climbs out.
    """
    if remote.is_absolute() or ".." in remote.parts or not remote.parts:
        raise ValueError(f"remote path {str(remote)!r}; expected one inside the device's working folder")
    return remote
