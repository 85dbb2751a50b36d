"""How does work run on a board that is reached by ssh and has nothing but Python 3?

The runner, the wheels for the board's own platform, the model and its golden samples go there over the connection
itself: neither pip nor the internet nor sftp is needed. What was sent stays in ``~/.cache/edgepack/device``, under the
digest of its content, and is not sent again; `_agent` is what edgepack does there.
"""

import gzip
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn

from edgepack.errors import DeviceError, MissingError, RecipeError
from edgepack.images.archive import EXECUTABLE_MODE, FILE_MODE
from edgepack.proc import Completed
from edgepack.transports import Device, _packages, _parcels, document, inside, quiet
from edgepack.transports._closing import Closing
from edgepack.transports._openssh import ANSWER_S, SHORTEST_SPEED_BYTES_S, Address, Connection, parse
from edgepack.transports._parcels import Parcel

COMPRESSION = 6
SPARE_BYTES = 16 << 20
MIB = 1 << 20


class Ssh(Closing):
    """One board; nothing is connected before it is needed.

    Args:
        address: Where it is.
        device: How results name it; None for its address.
        program: Words that start ssh, as in `Connection`.

    Attributes:
        device: Which board.
        say: Called with one line before something that takes a while.
        sent: Names of the parcels that were sent over this connection.
    """

    def __init__(self, address: Address, *, device: Device | None = None, program: list[str] | None = None) -> None:
        self.device = device or Device(f"ssh://{address}", address.name)
        self.say: Callable[[str], None] = quiet
        self.sent: list[str] = []
        self._connection = Connection(address, program)
        self._stack = ExitStack()
        self._machine: _packages.Machine | None = None
        self._runtime_parcels: dict[tuple[str, ...], tuple[Parcel, ...]] = {}
        self._pushed: dict[str, tuple[Parcel, str]] = {}

    @property
    def sent_bytes(self) -> int:
        """What went over the connection so far, requests included."""
        return self._connection.sent_bytes

    def machine(self) -> _packages.Machine:
        """What kind of machine the board is.

        Raises:
            MissingError: It has no Python that is new enough, or there are no wheels for it.
            DeviceError: It cannot be reached.
        """
        if self._machine is None:
            self.say(f"connecting to {self.device.name}")
            answer, _, _ = self._connection.request("probe", {})
            self._machine = _packages.machine(answer, self.device.name)
        return self._machine

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Have a copy of a file or a folder in the folder of each of the next runs; see `Transport`."""
        place, found = str(inside(remote)), _parcels.contents(local)
        self._pushed[place] = (_parcels.parcel(local.name, found), found[0].path if local.is_file() else "")

    def run(self, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None) -> Completed:
        """Run a program in a new folder with what was pushed; see `Transport`."""
        places = [
            {"place": place, "key": parcel.key, "entry": entry, "copy": True}
            for place, (parcel, entry) in self._pushed.items()
        ]
        request = {"argv": [[word, False] for word in argv], "env": dict(env or {}), "places": places, "search": []}
        return self._run(request, [parcel for parcel, _ in self._pushed.values()], argv, timeout_s)

    def ask(self, words: Sequence[str | Path], *, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Send what the runner lacks there, and ask it; see `Transport`."""
        names = _packages.runtimes(words)
        wanted = self.machine()
        if names not in self._runtime_parcels:
            packages = _packages.packages(names, wanted, self._stack, self.say)
            self._runtime_parcels[names] = (_packages.runner(), *packages)
        software = self._runtime_parcels[names]
        given: list[Parcel] = []
        places: list[dict[str, Any]] = []
        argv: list[tuple[str, bool]] = [("{python}", True), ("-m", False), (_packages.RUNNER, False)]
        for number, word in enumerate(words):
            if isinstance(word, str):
                argv.append((word, False))
                continue
            # Each file of a bundle is a parcel of its own: a new model does not send the samples again.
            for entry in _parcels.contents(word):
                parcel = _parcels.parcel(PurePosixPath(entry.path).name, [entry])
                given.append(parcel)
                places.append(
                    {"place": f"{number}/{entry.path}", "key": parcel.key, "entry": entry.path, "copy": False}
                )
            argv.append((f"{{folder}}/{number}" + (f"/{_braced(word.name)}" if word.is_file() else ""), True))
        request = {"argv": argv, "env": {}, "places": places, "search": [parcel.key for parcel in software]}
        done = self._run(request, [*software, *given], [word for word, _ in argv], timeout_s)
        return document(done)

    def close(self) -> None:
        """Hang up; what was sent stays on the board for the next time."""
        self._connection.close()
        self._stack.close()

    def _run(
        self, request: Mapping[str, Any], parcels: Sequence[Parcel], argv: Sequence[str], timeout_s: float
    ) -> Completed:
        answer, output, errors = self._connection.request("run", request, timeout_s=timeout_s)
        refused = answer.get("refused")
        if refused and refused["kind"] == "missing":
            self._send([parcel for parcel in parcels if parcel.key in refused["keys"]], refused)
            self.say(f"running on {self.device.name}")
            answer, output, errors = self._connection.request("run", request, timeout_s=timeout_s)
            refused = answer.get("refused")
        if refused:
            self._refuse(refused)
        return Completed(tuple(argv), answer["exit"], output, errors)

    def _send(self, parcels: Sequence[Parcel], space: Mapping[str, Any]) -> None:
        """Send parcels in one stream."""
        by_key = {parcel.key: parcel for parcel in parcels}
        size = sum(parcel.size_bytes for parcel in by_key.values())
        if size + SPARE_BYTES > space["free_bytes"]:
            self._refuse({"kind": "full", "folder": space["folder"], "free_bytes": space["free_bytes"]}, size)
        names = [parcel.name for parcel in by_key.values()]
        self.say(f"sending {size / MIB:.1f} MiB to {self.device.name}: {', '.join(names)}")

        def send(pipe: IO[bytes]) -> None:
            with (
                gzip.GzipFile(fileobj=pipe, mode="wb", compresslevel=COMPRESSION, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar,
            ):
                for key, parcel in by_key.items():
                    for entry in parcel.entries:
                        info = tarfile.TarInfo(f"{key}/{entry.path}")
                        info.size, info.mode = entry.size_bytes, EXECUTABLE_MODE if entry.executable else FILE_MODE
                        with entry.open() as content:
                            tar.addfile(info, content)

        limit_s = ANSWER_S + size / SHORTEST_SPEED_BYTES_S
        answer, _, _ = self._connection.request("receive", {}, timeout_s=limit_s, send=send)
        if "refused" in answer:
            self._refuse(answer["refused"], size)
        self.sent += names

    def _refuse(self, refused: Mapping[str, Any], size_bytes: int = 0) -> NoReturn:
        """Raise what the agent's refusal means."""
        name, text = self.device.name, refused.get("text", "")
        match refused["kind"]:
            case "full":
                free = f"{refused['free_bytes'] / MIB:.0f} MiB free of" if "free_bytes" in refused else "less than"
                raise MissingError(
                    f"the disk of {name} is full: {refused['folder']} has {free} the "
                    f"{(size_bytes + SPARE_BYTES) / MIB:.0f} MiB that are needed",
                    fix="make room there; what edgepack keeps on the device is in ~/.cache/edgepack/device and may "
                    "be removed, or name a larger disk there by XDG_CACHE_HOME",
                )
            case "busy":
                raise DeviceError(
                    f"{name} is busy with another measurement (process {text} there)", fix="wait until it has ended"
                )
            case "no program":
                raise MissingError(f"the program {text!r} is not installed on {name}", fix="install it there")
            case "damaged":
                raise DeviceError(f"what was sent arrived damaged at {name}: {text}", fix="run the command again")
            case _:
                raise DeviceError(
                    f"{name} cannot keep what is sent to it: {text}: {refused.get('folder', '')}",
                    fix="let the user write to ~/.cache there, or name another folder there by XDG_CACHE_HOME",
                )


def connect(address: str, **options: Any) -> Ssh:
    """A board.

    Args:
        address: ``[user@]host[:port]``, or an alias of ``~/.ssh/config``.
        options: As `Ssh` takes.

    Raises:
        RecipeError: The address is something else.
    """
    if not address:
        raise RecipeError("ssh needs a device, but got none", fix="write: ssh://user@host")
    return Ssh(parse(address), **options)


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
