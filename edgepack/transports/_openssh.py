"""How is one connection kept open with the user's own OpenSSH, and what does each of its complaints mean?

Keys, known hosts, aliases and jump hosts are those of ``~/.ssh/config``: edgepack starts ``ssh`` and nothing else.
EDGEPACK_SSH names another program or gives it options, as in ``EDGEPACK_SSH="ssh -F ci/ssh_config"``.
"""

import json
import os
import re
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgepack import proc
from edgepack.errors import DeviceError, EdgepackError, MissingError, RecipeError

VARIABLE = "EDGEPACK_SSH"
AGENT = Path(__file__).with_name("_agent.py")
MARK = "\x1eedgepack "
OLDEST_PYTHON = (3, 11)
NO_PYTHON, OLD_PYTHON = 90, 91
PYTHONS = "python3 python3.14 python3.13 python3.12 python3.11"
CONNECT_S = 20
ALIVE_S = 10
ANSWER_S = 120.0
SHORTEST_SPEED_BYTES_S = 20_000

# `-o` goes before what the user's configuration says.
OPTIONS = (
    "BatchMode=yes",
    f"ConnectTimeout={CONNECT_S}",
    f"ServerAliveInterval={ALIVE_S}",
    "ServerAliveCountMax=6",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
)


@dataclass(frozen=True)
class Address:
    """Where a device is: as after ``ssh://``, or an alias of the user's configuration.

    Attributes:
        host: Name, alias or number.
        user: None for what the configuration says.
        port: None for what the configuration says.
    """

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def name(self) -> str:
        """For people and for names of files."""
        host = re.sub(r"[^A-Za-z0-9.-]+", "-", self.host).strip("-.") or "device"
        return host + (f"-{self.port}" if self.port else "")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")

    def words(self) -> list[str]:
        """Options and host for `ssh`."""
        user = ["-l", self.user] if self.user else []
        return [*user, *(["-p", str(self.port)] if self.port else []), "--", self.host]


def parse(text: str) -> Address:
    """Read ``[user@]host[:port]``.

    Raises:
        RecipeError: It is something else.
    """
    found = re.fullmatch(
        r"(?:(?P<user>[\w.][\w.+-]*)@)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[\w.][\w.-]*))(?::(?P<port>\d{1,5}))?/?",
        text,
        re.ASCII,
    )
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise RecipeError(
            f"ssh got the address {text!r}; expected [user@]host[:port]",
            fix="e.g. ssh://pi@raspberrypi.local, or ssh://ALIAS with a Host ALIAS in ~/.ssh/config",
        )
    return Address(found["six"] or found["host"], found["user"], port)


class Connection:
    """One connection to one device, over which any number of requests go; a context manager.

    Args:
        address: Which device.
        program: Words that start ssh; None for EDGEPACK_SSH, else ``ssh``.

    Attributes:
        python: The device's Python; ``None`` before the first request.
        sent_bytes: What went to the device, code and requests included.
    """

    def __init__(self, address: Address, program: list[str] | None = None) -> None:
        self.address = address
        self.python: str | None = None
        self.sent_bytes = 0
        self._program = program or shlex.split(os.environ.get(VARIABLE, "")) or ["ssh"]
        self._stack = ExitStack()
        self._socket: Path | None = None

    def open(self) -> None:
        """Connect, if that has not been done.

        Raises:
            MissingError: There is no ssh here.
            DeviceError: The device cannot be reached, is not the known one, or refuses the user.
        """
        if self._socket is not None:
            return
        # A socket's path may have some hundred characters only.
        folder = tempfile.mkdtemp(prefix="edgepack-", dir=None if len(tempfile.gettempdir()) < 50 else "/tmp")  # noqa: S108
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is the stack's
        self._stack.enter_context(errors)
        socket = Path(folder, "s")
        argv = self._ssh("-M", "-N", "-o", "ControlPersist=no", socket=socket)
        process = self._stack.enter_context(proc.started(argv, env=_environment(), stderr=errors))
        end = time.monotonic() + CONNECT_S + 40
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > end:
                said = _read(errors) or "it did not answer in time"
                self.close()
                raise explain(said, self.address)
            time.sleep(0.02)
        self._socket, self._errors, self._master = socket, errors, process

    def request(
        self,
        verb: str,
        request: Mapping[str, Any],
        *,
        timeout_s: float = ANSWER_S,
        send: Callable[[IO[bytes]], None] | None = None,
    ) -> tuple[dict[str, Any], str, str]:
        """Let the agent do something on the device.

        Args:
            verb: A verb of `_agent`.
            request: What it takes.
            timeout_s: Seconds after which the connection is given up; what runs there ends then.
            send: Writes what follows the request.

        Returns:
            The agent's answer, and standard output and standard error of what it ran.

        Raises:
            MissingError: The device has no Python, or one that is too old.
            DeviceError: The device was lost, or took too long.
        """
        self.open()
        assert self._socket is not None
        code = AGENT.read_bytes()
        head = code + json.dumps(request).encode() + b"\n"
        argv = [*self._ssh("-T", "-o", "ControlMaster=no", socket=self._socket), _remote(verb, len(code), self.python)]
        with tempfile.TemporaryFile() as complaints:
            with proc.started(argv, env=_environment(), stderr=complaints) as process:
                assert process.stdin is not None and process.stdout is not None
                counted = _Counted(process.stdin)
                output: list[bytes] = []
                failed: list[Exception] = []
                # Standard input stays open until the answer is there: its end tells the agent that nobody listens.
                threads = [
                    threading.Thread(target=_write, args=(counted, head, send, failed), daemon=True),
                    threading.Thread(target=_keep, args=(process.stdout, output), daemon=True),
                ]
                for thread in threads:
                    thread.start()
                threads[1].join(timeout_s)
                late = threads[1].is_alive()
                if not late:
                    process.wait(timeout=30)
            for thread in threads:
                thread.join(10)
            self.sent_bytes += counted.bytes
            said = _read(complaints)
        if failed:
            raise failed[0]
        if late:
            raise DeviceError(
                f"{self.address.name} gave no answer within {timeout_s:g} s",
                fix="allow more time, or look at the device",
            )
        last = re.search(re.escape(MARK) + r"(\{.*\})\s*\Z", said)
        if last is None:
            raise self._failure(process.returncode, said.rpartition(MARK)[2])
        answer: dict[str, Any] = json.loads(last[1])
        _, _, text = b"".join(output).decode(errors="replace").partition(MARK + "\n")
        self.python = self.python or answer.get("program")
        _, _, errors = said[: last.start()].partition(MARK + "\n")
        return answer, text, errors.removesuffix("\n")

    def close(self) -> None:
        """Hang up."""
        self._socket = None
        self._stack.close()

    def _ssh(self, *words: str, socket: Path) -> list[str]:
        options = [word for option in OPTIONS for word in ("-o", option)]
        return [*self._program, *options, "-o", f"ControlPath={socket}", *words, *self.address.words()]

    def _failure(self, code: int, said: str) -> EdgepackError:
        """Why no agent answered."""
        name = self.address.name
        wanted = ".".join(map(str, OLDEST_PYTHON))
        if code == NO_PYTHON:
            return MissingError(
                f"{name} has no python3; the runner needs Python {wanted} or newer there, and nothing else",
                fix="install it on the device, e.g. apt-get install python3-minimal",
            )
        if code == OLD_PYTHON:
            found = said.strip().splitlines()[-1:] or ["an older one"]
            return MissingError(
                f"{name} has {found[0]}; the runner needs Python {wanted} or newer",
                fix=f"install a newer one beside it; {PYTHONS.replace(' ', ', ')} are tried in this order",
            )
        if self._master.poll() is not None or code == 255 or "mux_client" in said:
            told = [*_lines(_read(self._errors)), *_lines(said)]
            return DeviceError(
                f"the connection to {name} was lost in mid-run{f': {told[-1]}' if told else ''}",
                fix="check its power and its network and run the command again: what was sent is kept there",
            )
        last = (_lines(said) or ["nothing"])[-1]
        return DeviceError(
            f"{name} did not run what edgepack sent (exit code {code}); it said: {last}",
            fix="try `ssh HOST python3 -V`: a login shell that runs commands is needed there",
        )


def explain(said: str, address: Address) -> DeviceError:
    """One clear error for what ssh printed when it could not connect."""
    host = str(address)
    reach = (
        (f"-p {address.port} " if address.port else "") + (f"{address.user}@" if address.user else "") + address.host
    )
    lines = _lines(said)
    last = lines[-1] if lines else "it said nothing"

    def has(*texts: str) -> bool:
        return any(text.lower() in said.lower() for text in texts)

    if has("IDENTIFICATION HAS CHANGED"):
        where = next((line for line in lines if line.startswith("Offending")), "")
        return DeviceError(
            f"the host key of {host} is not the one that is known: another device, or somebody in between"
            f"{f' ({where})' if where else ''}",
            fix="if the device was set up anew, forget the old key: ssh-keygen -R "
            + (f"'[{address.host}]:{address.port}'" if address.port else address.host),
        )
    if has("Host key verification failed", "host key is known for"):
        return DeviceError(
            f"the host key of {host} is not known yet, and nobody is here to be asked",
            fix=f"connect once by hand and compare the fingerprint: ssh {reach}",
        )
    if has("UNPROTECTED PRIVATE KEY", "Bad permissions") and has("Permission denied"):
        return DeviceError(
            f"ssh did not use the key for {host}, as other users can read it", fix="chmod 600 the key's file"
        )
    if has("Permission denied", "Too many authentication failures"):
        return DeviceError(
            f"{host} accepts none of your keys ({last})",
            fix=f"put one there: ssh-copy-id {reach}; or name the right one with IdentityFile in ~/.ssh/config",
        )
    if has("Could not resolve hostname"):
        return DeviceError(
            f"there is no host {address.host!r}: {last}", fix="check the name, or give the device's IP address"
        )
    if has("Connection refused"):
        return DeviceError(
            f"{host} refuses connections: no ssh server listens there ({last})",
            fix="start sshd on the device, or give its port: ssh://HOST:PORT",
        )
    if has("timed out", "No route to host", "Network is unreachable", "did not answer in time"):
        return DeviceError(f"{host} cannot be reached: {last}", fix="check its power, its address and the network")
    return DeviceError(f"ssh could not connect to {host}: {last}", fix=f"try it by hand: ssh {reach}")


def _remote(verb: str, size: int, python: str | None) -> str:
    """The line for the device's shell: whichever it is, it starts sh, and sh the first Python that is new enough."""
    start = (
        f"import sys\nif sys.version_info < {OLDEST_PYTHON}: sys.exit({OLD_PYTHON})\n"
        f"exec(compile(sys.stdin.buffer.read({size}), 'edgepack', 'exec'))"
    )
    script = (
        f"for p in {python or PYTHONS}; do command -v $p >/dev/null 2>&1 || continue; f=$p; "
        f"$p -c {shlex.quote(start)} {verb}; c=$?; [ $c -eq {OLD_PYTHON} ] || exit $c; done; "
        f'[ -n "$f" ] || exit {NO_PYTHON}; $f -V >&2 2>&1; exit {OLD_PYTHON}'
    )
    return f"sh -c {shlex.quote(script)}"


class _Counted:
    """A pipe that knows how much went into it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += len(data)
        return self._pipe.write(data)

    def flush(self) -> None:
        self._pipe.flush()

    @property
    def closed(self) -> bool:
        return self._pipe.closed

    def close(self) -> None:
        with suppress(OSError):
            self._pipe.close()


def _write(pipe: _Counted, head: bytes, send: Callable[[Any], None] | None, failed: list[Exception]) -> None:
    """Send a request; an exception is left for whoever waits for the answer, which then comes at once."""
    try:
        pipe.write(head)
        pipe.flush()
        if send is not None:
            send(pipe)
            pipe.close()  # whoever reads an archive asks for more than its end
    except OSError:
        pass  # the other end is gone: what it left says why
    except Exception as error:
        if not pipe.closed:  # closed by whoever waited for the answer, which came before everything was sent
            failed.append(error)
            pipe.close()


def _keep(pipe: IO[bytes], output: list[bytes]) -> None:
    with suppress(OSError, ValueError):
        while block := pipe.read(1 << 16):
            output.append(block)


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").replace("\r", "")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
