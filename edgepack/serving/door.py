"""How is a port opened, and how is it shut without losing who stands in front of it?"""

import contextlib
import ctypes
import socket
import struct
import sys

from ..runner.errors import RunnerError

BACKLOG = 1024
SO_ATTACH_FILTER = 26
"""Linux' number of an option that Python's ``socket`` has no name for."""

# Classic BPF over the TCP header: a segment with SYN is dropped, everything else passes.
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),
)


def listen(host: str, port: int) -> socket.socket:
    """Open a port.

    Args:
        host: The address; ``::`` means all addresses of both families.
        port: The port; 0 for one that is free.

    Raises:
        RunnerError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        door = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        told = error.strerror or str(error)
        raise RunnerError(f"cannot listen on {host} port {port}: {told}; give another --host or --port") from error
    # Connections inherit it. asyncio does so only for sockets that name their protocol, and without it the second
    # packet of an answer waits 40 ms for the client to say that it has the first.
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    door.setblocking(False)
    return door


def let_nobody_in(door: socket.socket) -> None:
    """Let no new connection begin, while those that have begun can still be accepted.

    A port that is closed resets the connections that wait to be accepted, with the requests that they have sent. So new
    ones are kept out first: their SYN is dropped, and when the client repeats it, the port is closed and says so. Where
    that cannot be done, nothing changes.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_NEW_CONNECTIONS))
    described = struct.pack("HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(program))
    with contextlib.suppress(OSError):
        door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
