"""Is a port opened as a server needs it, and shut without losing who stands in front of it?"""

import socket
import sys

import pytest

from edgepack.runner.errors import RunnerError
from edgepack.serving.door import let_nobody_in, listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with listen(host, 0) as door, socket.create_connection(door.getsockname()[:2]):
        accepted, _ = door.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_cannot_be_had_is_named() -> None:
    with listen("127.0.0.1", 0) as door:
        port = door.getsockname()[1]
        with pytest.raises(RunnerError, match=f"cannot listen on 127.0.0.1 port {port}: .* give another --host"):
            listen("127.0.0.1", port)


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux'")
def test_who_has_connected_is_let_in_and_nobody_else() -> None:
    with listen("127.0.0.1", 0) as door, socket.create_connection(door.getsockname()) as early:
        early.sendall(b"a request")
        let_nobody_in(door)
        with socket.socket() as late:
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(door.getsockname())
        accepted, _ = door.accept()
        with accepted:
            assert accepted.recv(100) == b"a request"
        with pytest.raises(BlockingIOError):
            door.accept()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
