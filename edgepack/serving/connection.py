"""What may a client do to its connection before and after its request: for how long, and how much?

uvicorn bounds the time between two requests. Here are the bounds for a request line and headers that trickle in or do
not end, and for a client that does not read its answer; and a connection that is told to go is closed only when it is
quiet.
"""

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES = 64 << 10
MOST_AHEAD = 32
"""Requests that a client may send before it has read the answers: uvicorn would keep all that fit into one read."""
LINGER_S = 0.25
"""How long a connection may still begin a request after the server has closed its door."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection with more bounds; the server's class is made by `bounded`."""

    head_timeout_s = 10.0
    draining = staticmethod(lambda: False)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come; a head without end is refused."""
        if self._in_head:
            if self._head_timer is None:
                self._expect_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"the request's head has more than {HEAD_BYTES} bytes")

    def on_headers_complete(self) -> None:
        """Begin a request whose head is whole."""
        self._in_head = False
        self._stop_head_timer()
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("too many requests ahead of their answers")  # the parser's caller refuses it
        super().on_headers_complete()
        if self._leaving or self.draining():
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """What comes next is the head of another request."""
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the protocol's form."""
        self._refuse(400, msg)

    def pause_writing(self) -> None:
        """The client does not keep up: give it a while."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def shutdown(self) -> None:
        """Close after the answer that is being made, or where there is none, when no request comes for a moment."""
        self._leaving = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(LINGER_S, self._leave)

    def _leave(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _watch_writing(self, unread: int | None = None) -> None:
        """Give up a connection on which nothing more has been read since the last look."""
        now = self.transport.get_write_buffer_size()
        if unread is not None and now >= unread:
            self.transport.abort()
        else:
            self._write_timer = self.loop.call_later(self.head_timeout_s, self._watch_writing, now)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(408, f"the request's head was not complete within {self.head_timeout_s:g} s")

    def _refuse(self, status: int, message: str) -> None:
        content = orjson.dumps({"error": message})
        head = (
            b"content-type: application/json\r\n"
            b"content-length: " + str(len(content)).encode() + b"\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head + content)
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_timers(self) -> None:
        """Timers hold a connection that has gone; uvicorn forgets its own where the client reset it."""
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def bounded(head_timeout_s: float, draining: Any) -> type[Connection]:
    """The class of a server's connections.

    Args:
        head_timeout_s: Seconds until a request's head must have come, and for which an answer may lie unread.
        draining: Says whether the server is about to end.
    """
    return type("Bounded", (Connection,), {"head_timeout_s": head_timeout_s, "draining": staticmethod(draining)})
