"""How do the tests of serving start a server, and what do its clients do to it?"""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from support import ROOT

LONG_S = 60.0


@dataclass
class Server:
    """A server in a process of its own."""

    process: "subprocess.Popen[str]"
    port: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """One figure of `/metrics`."""
        text = self.get("/metrics")[1].decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def end(self) -> int:
        """Ask it to end, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONG_S)


@contextmanager
def serving(words: list[str | Path]) -> Iterator[Server]:
    """Start a server with these words, wait until it is ready, and end it."""
    argv = [sys.executable, "-m", *map(str, words), "--port", "0"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    server = Server(process, 0)
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            server.lines.append(line)
            if line["event"] == "listening":
                server.port = line["port"]
            if line["event"] == "ready":
                ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(LONG_S), server.lines
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


class Load:
    """Clients that ask the same question until nobody lets them in any more.

    Args:
        port: The server's.
        body: What each of them sends.
        expected: What each of them must get.
        clients: How many.
    """

    def __init__(self, port: int, body: bytes, expected: bytes, clients: int) -> None:
        self._port, self._body, self._expected = port, body, expected
        self._stop = threading.Event()
        self.answered = 0
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until every client has been kept out."""
        for thread in self._threads:
            thread.join(LONG_S)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LONG_S)
        while not self._stop.is_set():
            if connection.sock is None:
                try:
                    connection.connect()
                except OSError:
                    return  # kept out: nothing was sent, nothing is lost
            try:
                connection.request("POST", "/v2/models/digits/infer", self._body)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                return
            if answer.status != 200 or content != self._expected:
                self.lost.append(f"{answer.status} {content[:200]!r}")
            self.answered += 1
        connection.close()


def abuse(port: int, good: bytes) -> None:
    """One of each: what is no HTTP, no request, too long, half, and not read."""
    head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\n"
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        head + b"Content-Length: 5\r\n\r\nhello",
        head + b"Content-Length: 999999999999\r\n\r\n" + good,
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 100000\r\n\r\n" + good,  # and then it goes away
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b"z" * 0x4000 + b"\r\n",
        head + b"Inference-Header-Content-Length: 77\r\nContent-Length: %d\r\n\r\n%b" % (len(good), good),
        good[:20],
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as client:
            client.sendall(sent)
            client.settimeout(0.02)
            with _any_end():
                client.recv(4096)


@contextmanager
def _any_end() -> Iterator[None]:
    """Whatever becomes of a connection that asked for it."""
    try:
        yield
    except OSError:
        return


def trickle(port: int, first: bytes, seconds: float) -> bytes:
    """Send a request byte by byte until the server has had enough, and return what it says."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as client:
        client.sendall(first)
        client.settimeout(0.05)
        end = time.monotonic() + seconds
        said = b""
        while time.monotonic() < end:
            try:
                client.sendall(b"x")
                piece = client.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if not piece:
                break
            said += piece
        return said


def deaf(port: int, seconds: float) -> bool:
    """Ask for far more than is read, and say whether the server gave the connection up."""
    asked = b"GET /v2/models/digits HTTP/1.1\r\nHost: x\r\n\r\n" * 4000
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(LONG_S)
        client.connect(("127.0.0.1", port))
        client.setblocking(False)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                asked = asked[client.send(asked) :] or b"GET"
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                return True
        return False
