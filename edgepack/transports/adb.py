"""How is an Android phone reached, through adb, and measured by LiteRT's own ``benchmark_model``?"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from edgepack.android import address as addresses
from edgepack.android.adb import Adb, quoted
from edgepack.android.errors import AndroidError
from edgepack.errors import CLASSES, DeviceError, MissingError, RecipeError
from edgepack.proc import Completed
from edgepack.runner.errors import RunnerError
from edgepack.transports import Device, inside, quiet
from edgepack.transports._closing import Closing

if TYPE_CHECKING:
    from edgepack.protocol import Protocol

WORK = PurePosixPath("/data/local/tmp/edgepack-work")


class Phone(Closing):
    """One phone. What is measured stays on it, so that it is sent once; what was pushed by `push` does not.

    Args:
        address: What follows ``adb://``: a serial number, ``host:port``, or nothing for the only phone, and options.

    Raises:
        RecipeError: The address is wrong.
        MissingError: There is no adb.
        DeviceError: There is no such phone, or it cannot be used.
    """

    def __init__(self, address: str) -> None:
        self.say: Callable[[str], None] = quiet
        with _explained():
            serial, self._options = addresses.parse(address)
            addresses.settings(None, self._options)
            self._adb = Adb(serial)
        full = addresses.identity(self._adb.serial, self._options)
        self.device = Device(full, re.sub(r"[^\w.-]+", "-", full.removeprefix("adb://")))
        self._pushed = False

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file or a folder to the phone; see `Transport`."""
        if not local.exists():
            raise MissingError(f"there is no file or folder {local}", fix="check the path")
        target = WORK / inside(remote)
        self._pushed = True
        with _explained():
            made = self._adb.shell(f"mkdir -p {quoted([target.parent])} && rm -rf {quoted([target])}", timeout_s=60)
            if made.exit_code != 0:
                raise AndroidError(f"the phone made no folder {target.parent}: {made.text.strip()}", fix="look at it")
            self._adb.push(local, target)

    def run(self, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None) -> Completed:
        """Run a program of the phone, or one that was pushed; see `Transport`. Its two outputs are one."""
        given = "".join(f"export {key}={quoted([value])}; " for key, value in (env or {}).items())
        self._pushed = True
        with _explained():
            said = self._adb.shell(
                f"mkdir -p {quoted([WORK])} && cd {quoted([WORK])} && {given}{quoted(argv)}", timeout_s=timeout_s
            )
        return Completed(tuple(argv), said.exit_code, said.text, "")

    def ask(self, words: Sequence[str | Path], *, timeout_s: float) -> tuple[dict[str, Any], int]:
        """No runner runs on a phone; see `bench`.

        Raises:
            RecipeError: Always.
        """
        raise RecipeError(
            f"no Python runs on the phone {self._adb.serial}, so it cannot be asked to {words[0]}",
            fix="`edgepack bench --on adb://...` measures it; verify on this machine: `edgepack verify BUNDLE`",
        )

    def bench(
        self,
        what: Path,
        *,
        artifacts: Sequence[str],
        runtime: str | None,
        threads: int | None,
        protocol: "Protocol",
    ) -> tuple[dict[str, Any], int]:
        """Measure by the phone's own means; see `Benches`."""
        from edgepack.android import measure, subjects

        with _explained():
            found = subjects.subjects(what, artifacts=artifacts, runtime=runtime, threads=threads)
            settings = addresses.settings(subjects.of_target(what), self._options)
            own = measure.Protocol(**asdict(protocol))
            document = measure.bench(self._adb, found, settings, own, address=self.device.address, say=self.say)
        return document, DeviceError.exit_code if measure.failed(document) else 0

    def close(self) -> None:
        """Remove what `push` and `run` left."""
        if self._pushed:
            self._pushed = False
            with _explained():
                self._adb.shell(f"rm -rf {quoted([WORK])}", timeout_s=60)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except DeviceError:  # lost: the first error says so
            if error is None:
                raise


def connect(address: str = "") -> Phone:
    """A phone that adb sees.

    Args:
        address: Its serial number, ``host:port``, or nothing where there is only one; then options:
            ``?delegate=gpu&cores=4-7``.

    Raises:
        RecipeError: The address is wrong.
        MissingError: There is no adb.
        DeviceError: There is no such phone, or it cannot be used.
    """
    return Phone(address)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the phone's own package raises into edgepack's errors of the same exit code."""
    try:
        yield
    except RunnerError as error:
        _raise(error)


def _raise(error: RunnerError) -> NoReturn:
    kind = {cls.exit_code: cls for cls in CLASSES.values()}[error.exit_code]
    if isinstance(error, AndroidError):
        raise kind(error.message, fix=error.fix) from error
    raise kind(str(error), fix="check the file and the options") from error
