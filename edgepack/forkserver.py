"""How does each stage get a fresh process without importing TensorFlow anew?

A server process imports the libraries once and then does nothing but fork: each child is as fresh as one that has
just imported them. The server computes nothing, so that no thread of TensorFlow runs when it forks; NumPy's and SciPy's
threads end before a fork by their own handlers.

The parent talks to it through a socket: it sends what to import and the child's three standard streams, and hears
the child's process id and then how it ended. When the socket closes, because the parent ended in whatever way, the
child is killed and the server ends.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from edgepack.runner.child import die_with

MESSAGE_BYTES = 64 * 1024

_idle: "list[Server]" = []
_lock = threading.Lock()


class Child:
    """A process that the server has forked, with pipes to its standard input and output."""

    def __init__(self, server: "Server", pid: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self._server = server
        self._pid = pid
        self._code: int | None = None

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit code, negative for a signal.

        Raises:
            TimeoutError: It still runs.
        """
        if self._code is None:
            self._code = self._server.ended(timeout_s)
        return self._code

    def end(self) -> bool:
        """Close the pipes and kill what still runs, with all that it started; True if it had ended by itself."""
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):
                stream.close()
        if self._code is not None:
            return True
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        return False


class Server:
    """A running server; one child at a time."""

    def __init__(self, env: Mapping[str, str], stderr: IO[bytes]) -> None:
        self.env = dict(env)
        self.loaded = False
        self._socket, inner = socket.socketpair()
        self._answers = self._socket.makefile("rb")
        with inner:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgepack.forkserver", str(inner.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=self.env,
                pass_fds=(inner.fileno(),),
                start_new_session=True,  # Ctrl-C reaches edgepack alone
            )

    def alive(self) -> bool:
        """Whether it can be asked for another child."""
        return self._process.poll() is None

    def fork(self, entry: str, imports: Sequence[str], stderr: IO[bytes]) -> Child | None:
        """A new child, in a session of its own, see `started`; None where it would hold libraries for nothing."""
        ours, theirs = [], []
        try:
            read, write = os.pipe()
            theirs.append(read)
            ours.append(write)
            read, write = os.pipe()
            theirs.append(write)
            ours.append(read)
            asked = json.dumps({"entry": entry, "imports": list(imports), "cwd": str(Path.cwd())}).encode()
            with suppress(ConnectionError):  # it died at once: no answer says so
                socket.send_fds(self._socket, [asked], [*theirs, stderr.fileno()])
            answer = self._answer()
            self.loaded = bool(answer.get("loaded"))
            if self.loaded and "pid" not in answer:
                for descriptor in ours:
                    os.close(descriptor)
                return None
            stdin, stdout = os.fdopen(ours[0], "wb"), os.fdopen(ours[1], "rb")
        except BaseException:
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return Child(self, answer.get("pid", self._process.pid), stdin, stdout)

    def ended(self, timeout_s: float | None) -> int:
        """The exit code of the child."""
        self._socket.settimeout(timeout_s)
        try:
            answer = self._answer()
        finally:
            self._socket.settimeout(None)
        return int(answer["code"]) if answer else self._process.wait()

    def close(self) -> None:
        """End it, and its child."""
        self._answers.close()
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._answers.readline()
        except ConnectionError:
            line = b""
        return json.loads(line) if line else {}


@contextmanager
def started(entry: str, imports: Sequence[str], *, env: Mapping[str, str], stderr: IO[bytes]) -> Iterator[Child]:
    """A fresh process in which modules are imported already, and that is gone at the end.

    Args:
        entry: Module whose ``main()`` the process calls.
        imports: Modules to have imported before, with those that they name in ``LIBRARIES``; what cannot be imported
            is left to the process.
        env: The whole environment.
        stderr: File that receives what is printed, by the imports too.
    """
    server, child = _forked(entry, imports, env, stderr)
    try:
        yield child
    finally:
        if child.end():
            _give_back(server)
        else:
            server.close()


def _forked(entry: str, imports: Sequence[str], env: Mapping[str, str], stderr: IO[bytes]) -> tuple[Server, Child]:
    """A child of an idle server that has imported nothing which it does not need, or else of a new one."""
    loaded: list[Server] = []
    try:
        while True:
            server = _take(env) or Server(env, stderr)
            try:
                child = server.fork(entry, imports, stderr)
            except BaseException:
                server.close()
                raise
            if child is not None:
                return server, child
            loaded.append(server)
    finally:
        for server in loaded:
            _give_back(server)


def _take(env: Mapping[str, str]) -> Server | None:
    """An idle server of this environment; one of another is of no more use."""
    with _lock:
        while _idle:
            server = _idle.pop()
            if server.env == env and server.alive():
                return server
            server.close()
    return None


def _give_back(server: Server) -> None:
    with _lock:
        _idle.append(server)
        _idle.sort(key=lambda server: server.loaded)  # the last one is asked first, and says if it is not the right one


@atexit.register
def _close_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().close()


# From here on: the server's side.


def serve(channel: socket.socket) -> None:
    """Fork one child after the other until the parent hangs up; returns in each child, when it is done.

    Nothing that was imported ever becomes garbage: its collector rests during the imports, and the children's leaves
    alone what was there before them, see https://docs.python.org/3/library/gc.html#gc.freeze.
    """
    gc.disable()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    loaded = False
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 3)
        if not message:
            return
        asked = json.loads(message)
        os.chdir(asked["cwd"])
        for target in (1, 2):
            os.dup2(descriptors[2], target)
        wanted = [library for module in asked["imports"] for library in _libraries(module)]
        if loaded and not wanted:
            for descriptor in descriptors:
                os.close(descriptor)
            channel.sendall(_line(loaded=1))
            continue
        for library in wanted:
            with suppress(Exception):  # the child meets it again, where it can be reported
                importlib.import_module(library)
        loaded = loaded or bool(wanted)
        server = os.getpid()
        gc.freeze()
        pid = _fork()
        if pid == 0:
            gc.enable()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (woken, wake, channel.detach()):
                os.close(descriptor)
            die_with(server)
            _become(asked["entry"], descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(_line(pid=pid, loaded=loaded))
        code = _await(pid, channel, woken)
        if code is None:
            return
        channel.sendall(_line(code=code))


def _libraries(module: str) -> Sequence[str]:
    """What a module names in ``LIBRARIES``; one that cannot be imported is left to the child to report."""
    with suppress(Exception):
        return tuple(getattr(importlib.import_module(module), "LIBRARIES", ()))
    return ()


def _line(**answer: int) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which end before the fork by their handlers
        return os.fork()


def _become(entry: str, descriptors: Sequence[int]) -> None:
    os.setsid()
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    importlib.import_module(entry).main()


def _await(pid: int, channel: socket.socket, woken: int) -> int | None:
    """The child's exit code; None when the parent hung up, with the child killed."""
    watched: list[socket.socket | int] = [channel, woken]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 4096)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if channel in ready:  # it has nothing to say before the child has ended
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
