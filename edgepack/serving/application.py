"""How does a request get from the ASGI server to its answer, its line in the log and its place in the figures?"""

import time

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from .body import ClientGoneError, drop
from .errors import RequestError
from .logs import Log
from .service import Exchange, Headers, Service

GONE = 499
"""What the log says of a request whose client did not wait for an answer, as nginx does."""


class Application:
    """The ASGI application.

    Args:
        service: What answers.
        log: What is written.
    """

    def __init__(self, service: Service, log: Log) -> None:
        self._service, self._log = service, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        exchange = Exchange(dict(scope["headers"]), receive)
        scope["exchange"] = exchange
        scope["app"] = self  # with an application around it, Starlette's router raises what it refuses
        extra: Headers = ()
        try:
            await self._service.router(scope, receive, send)
        except RequestError as error:
            extra = _refuse(exchange, error)
            if error.__cause__ is not None and error.status >= 500:
                self._log.failure("inference failed", error.__cause__)
        except HTTPException as error:
            extra = _refuse(exchange, RequestError(error.status_code, f"{scope['method']} is not for this address"))
            extra += tuple((key.lower().encode(), value.encode()) for key, value in (error.headers or {}).items())
        except ClientGoneError:
            exchange.status = GONE
        except Exception as error:
            self._log.failure("request failed", error)
            extra = _refuse(exchange, RequestError(500, "the server failed; its log says more"))
        if exchange.status != GONE:
            await _send(exchange, extra, send)
        self._count(exchange, scope, time.perf_counter() - began)

    def _count(self, exchange: Exchange, scope: Scope, seconds: float) -> None:
        metrics = self._service.metrics
        metrics.requests[(exchange.route, str(exchange.status))] += 1
        if exchange.route == "infer":
            metrics.request_s.observe(seconds)
        if exchange.status >= 400 or self._log.requests:
            client = scope["client"]
            self._log.event(
                _level(exchange.status),
                "request",
                method=scope["method"],
                path=scope["path"][:200],
                status=exchange.status,
                ms=round(seconds * 1e3, 3),
                bytes_out=len(exchange.content),
                client=client[0] if client else None,
                **exchange.facts,
            )


def _level(status: int) -> str:
    """A client's mistake and a server that is busy are warnings; a server that failed is an error."""
    return "info" if status < 400 else "error" if status in (500, 504) else "warning"


def _refuse(exchange: Exchange, error: RequestError) -> Headers:
    """Set the protocol's error form as the answer; returns the headers that belong to it."""
    exchange.answer({"error": error.message}, error.status)
    exchange.facts["error"] = error.message[:300] if error.status != 400 else "bad request"
    headers: Headers = ()
    if error.retry_after_s is not None:
        headers += ((b"retry-after", str(error.retry_after_s).encode()),)
    if error.status == 401:
        headers += ((b"www-authenticate", b"Bearer"),)
    return headers


async def _send(exchange: Exchange, extra: Headers, send: Send) -> None:
    """Send the answer; where a body was not read to its end, the connection cannot be used again and is closed."""
    sends_body = exchange.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in exchange.headers
    unread = sends_body and not exchange.body_read
    headers = [*exchange.content_headers, (b"content-length", str(len(exchange.content)).encode()), *extra]
    if unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
    await send({"type": "http.response.body", "body": exchange.content, "more_body": unread})
    if unread:
        if exchange.status != 408:
            await drop(exchange.receive)
        await send({"type": "http.response.body"})
