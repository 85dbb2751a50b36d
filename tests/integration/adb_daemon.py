"""What does the other end of ``adb`` say? A phone's daemon that speaks the public protocol over TCP.

https://android.googlesource.com/platform/packages/modules/adb/+/refs/heads/main/protocol.txt and SYNC.TXT beside it.
Commands are run by this machine's own shell, in which the phone's folders are folders of a temporary one.
"""

import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

VERSION, LARGEST = 0x01000000, 256 * 1024
SYNC_FAIL, SYNC_OKAY = b"FAIL", b"OKAY"
STDOUT, STDERR, EXIT = 1, 2, 3


class Daemon:
    """One phone on a port of the loopback interface.

    Attributes:
        root: What the phone has in place of ``/data/local/tmp``, ``/sys`` and ``/proc``.
        allows: Whether it trusts this computer; else it asks for a key for ever.
        full: Whether it has no room for files.
        cut: Text of a command at which the connection is cut after a moment.
        refuses: Whether it hangs up at once, as a phone that restarts.
        shell_v2: Whether it tells exit codes by itself, as phones since Android 7.
        sent: Paths of all files that arrived.
        commands: All command lines that arrived.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.allows = self.shell_v2 = True
        self.full = self.refuses = False
        self.cut: str | None = None
        self.sent: list[str] = []
        self.commands: list[str] = []
        (root / "data/local/tmp").mkdir(parents=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and hang up."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(10)

    def hang_up(self) -> None:
        """Cut all connections."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def here(self, text: str) -> str:
        """A command or a path with this machine's folders in place of the phone's."""
        for folder in ("/data/local/tmp", "/sys/devices/system/cpu", "/sys/class/thermal", "/proc/loadavg"):
            text = text.replace(folder, f"{self.root}{folder}")
        return text

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                connection.close()
                continue
            self._open.append(connection)
            threading.Thread(target=Connection(self, connection).serve, daemon=True).start()


class Connection:
    """One connection of an adb server, with its streams."""

    def __init__(self, daemon: Daemon, connection: socket.socket) -> None:
        self.daemon = daemon
        self._socket = connection
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}

    def serve(self) -> None:
        """Answer messages until the other end hangs up."""
        with contextlib.suppress(OSError, ConnectionError):
            while True:
                command, arg0, arg1, length = struct.unpack("<4sIII", self._read(24)[:16])
                data = self._read(length)
                getattr(self, f"_{command.decode().lower()}")(arg0, arg1, data)
        for stream in self._streams.values():
            stream.closed()

    def send(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        """Send one message."""
        number = struct.unpack("<I", command)[0]
        head = struct.pack("<6I", number, arg0, arg1, len(data), sum(data) & 0xFFFFFFFF, number ^ 0xFFFFFFFF)
        with self._lock:
            self._socket.sendall(head + data)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("hung up")
            data += piece
        return data

    def _cnxn(self, version: int, largest: int, banner: bytes) -> None:
        if not self.daemon.allows:
            self.send(b"AUTH", 1, 0, os.urandom(20))
            return
        features = "shell_v2,cmd" if self.daemon.shell_v2 else "cmd"
        self.send(b"CNXN", VERSION, LARGEST, f"device::ro.product.model=Stand-in;features={features}".encode())

    def _auth(self, kind: int, _: int, data: bytes) -> None:
        if kind == 2:  # a signature that it does not trust; behind it comes a public key, which nobody accepts
            self.send(b"AUTH", 1, 0, os.urandom(20))

    def _open(self, theirs: int, _: int, data: bytes) -> None:
        service = data.rstrip(b"\0").decode()
        name, _, rest = service.partition(":")
        kinds: dict[str, Callable[[Stream, str], None]] = {"shell": shell, "sync": sync}
        serve = kinds.get(name.split(",")[0])
        if serve is None:
            self.send(b"CLSE", 0, theirs)
            return
        ours = len(self._streams) + 1
        stream = self._streams[ours] = Stream(self, ours, theirs, v2=name.startswith("shell,v2"))
        self.send(b"OKAY", ours, theirs)
        threading.Thread(target=stream.run, args=(serve, rest), daemon=True).start()

    def _okay(self, theirs: int, ours: int, _: bytes) -> None:
        if ours in self._streams:
            self._streams[ours].ready.set()

    def _wrte(self, theirs: int, ours: int, data: bytes) -> None:
        if ours in self._streams:
            self._streams[ours].arrived(data)
            self.send(b"OKAY", ours, theirs)

    def _clse(self, theirs: int, ours: int, _: bytes) -> None:
        if ours in self._streams:
            self._streams[ours].closed()

    def cut(self) -> None:
        """Hang up in the middle of everything."""
        self.daemon.hang_up()


class Stream:
    """One service that the other end has opened."""

    def __init__(self, connection: Connection, ours: int, theirs: int, *, v2: bool) -> None:
        self.connection, self.ours, self.theirs, self.v2 = connection, ours, theirs, v2
        self.ready = threading.Event()
        self._arrived = threading.Condition()
        self._data, self._ended = b"", False

    def run(self, serve: Callable[["Stream", str], None], words: str) -> None:
        with contextlib.suppress(OSError, ConnectionError):
            serve(self, words)
            self.connection.send(b"CLSE", self.ours, self.theirs)

    def arrived(self, data: bytes) -> None:
        with self._arrived:
            self._data += data
            self._arrived.notify()

    def closed(self) -> None:
        with self._arrived:
            self._ended = True
            self._arrived.notify()
        self.ready.set()

    def read(self, size: int) -> bytes:
        with self._arrived:
            while len(self._data) < size:
                if self._ended:
                    raise ConnectionError("closed")
                self._arrived.wait(60)
            data, self._data = self._data[:size], self._data[size:]
            return data

    def write(self, data: bytes) -> None:
        for first in range(0, len(data), LARGEST // 2):
            self.ready.clear()
            self.connection.send(b"WRTE", self.ours, self.theirs, data[first : first + LARGEST // 2])
            if not self.ready.wait(60) or self._ended:
                raise ConnectionError("closed")

    def packet(self, kind: int, data: bytes) -> None:
        """A packet of the newer shell, or the bare data for the older one, which has no exit code."""
        if self.v2:
            self.write(struct.pack("<BI", kind, len(data)) + data)
        elif kind != EXIT and data:
            self.write(data)


def shell(stream: Stream, line: str) -> None:
    """Run a command line and send what it prints as it comes."""
    daemon = stream.connection.daemon
    daemon.commands.append(line)
    environment = {**os.environ, "PATH": f"{daemon.root}/bin:{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["/bin/sh", "-c", daemon.here(line)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=daemon.root,
    )
    assert process.stdout is not None
    cut = daemon.cut is not None and daemon.cut in line
    with process.stdout:
        for piece in iter(lambda: process.stdout.read1(4096), b""):
            stream.packet(STDOUT, piece)
            if cut:
                process.kill()
                process.wait()
                stream.connection.cut()
                return
    stream.packet(EXIT, bytes([process.wait() & 0xFF]))


def sync(stream: Stream, _: str) -> None:
    """Take files, and say what is there."""
    daemon = stream.connection.daemon
    while True:
        kind, length = struct.unpack("<4sI", stream.read(8))
        if kind == b"QUIT":
            return
        path = stream.read(length).decode()
        if kind == b"STAT":
            stream.write(b"STAT" + _status(Path(daemon.here(path))))
        elif kind == b"SEND":
            _take(stream, daemon, path)
        elif kind == b"RECV":
            _give(stream, Path(daemon.here(path)))
        else:
            stream.write(SYNC_FAIL + struct.pack("<I", 7) + b"unknown")
            return


def _status(path: Path) -> bytes:
    try:
        found = path.lstat()
    except OSError:
        return struct.pack("<III", 0, 0, 0)
    return struct.pack("<III", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))


def _give(stream: Stream, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = str(error.strerror).encode()
        stream.write(SYNC_FAIL + struct.pack("<I", len(reason)) + reason)
        return
    for first in range(0, len(content), 64 * 1024):
        piece = content[first : first + 64 * 1024]
        stream.write(b"DATA" + struct.pack("<I", len(piece)) + piece)
    stream.write(b"DONE" + struct.pack("<I", 0))


def _take(stream: Stream, daemon: Daemon, given: str) -> None:
    name, _, _ = given.rpartition(",")
    content = b""
    while True:
        kind, length = struct.unpack("<4sI", stream.read(8))
        if kind == b"DONE":
            break
        content += stream.read(length)
    if daemon.full:
        reason = b"couldn't write: No space left on device"
        stream.write(SYNC_FAIL + struct.pack("<I", len(reason)) + reason)
        return
    target = Path(daemon.here(name))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    daemon.sent.append(name)
    stream.write(SYNC_OKAY + struct.pack("<I", 0))
