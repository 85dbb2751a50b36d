"""How is a request's body read without waiting for ever or holding more than it may?"""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive

from .errors import RequestError

REFUSED_S = 2.0
"""How long the rest of a refused body is read and dropped, so that its sender gets to see why."""


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


async def read(headers: Mapping[bytes, bytes], receive: Receive, *, limit_bytes: int, timeout_s: float) -> bytes:
    """All of a request's body.

    Args:
        headers: The request's, names in lower case.
        receive: ASGI's.
        limit_bytes: What the body may have.
        timeout_s: Seconds until it must be complete.

    Raises:
        RequestError: It is too long (413), too slow (408) or compressed (415).
        ClientGoneError: The client has gone.
    """
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        told = encoding[:40].decode("latin-1")
        raise RequestError(415, f"the body has the content-encoding {told!r}; expected a body that is not compressed")
    told_bytes = headers.get(b"content-length", b"0")
    if not told_bytes.isdigit():
        raise RequestError(400, "the header content-length is no number")
    if len(told_bytes) > 18 or int(told_bytes) > limit_bytes:
        raise RequestError(413, f"the body has {told_bytes.decode()[:40]} bytes; at most {limit_bytes} are taken")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit_bytes:
                    raise RequestError(413, f"the body has more than the {limit_bytes} bytes that are taken")
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError as error:
        raise RequestError(408, f"the body was not complete within {timeout_s:g} s; {size} bytes came") from error


async def drop(receive: Receive) -> None:
    """Read what a client goes on sending after its request was refused, for a moment.

    A connection that is closed with data unread is reset, and the reason may be lost with it.
    """
    try:
        async with asyncio.timeout(REFUSED_S):
            message: Mapping[str, Any] = await receive()
            while message["type"] == "http.request" and message.get("more_body", False):
                message = await receive()
    except TimeoutError:
        return
