"""How does the server start, and how does it end without losing a request?

It listens first, so that ``live`` is answered while the model is being loaded. After SIGTERM ``ready`` says no, each
answer closes its connection, and requests are taken for a while longer, until whoever sends them has noticed; then
the door closes, and the process ends when the last answer has gone out.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from functools import partial
from types import FrameType

import uvicorn

from ..runner.errors import UsageError
from . import access
from .application import Application
from .connection import bounded
from .door import let_nobody_in, listen
from .loading import Loaded, load
from .logs import Handler, Log
from .options import Options
from .service import Service

SWITCH_S = 0.0005
"""A thread that comes back from the runtime waits at most this long for a busy event loop, and not Python's 5 ms."""

KNOCKING_S = 0.1
"""How long connections that have begun may take to be accepted, once no new one can begin."""


def serve(options: Options) -> int:
    """Serve until a signal says to end.

    Args:
        options: How.

    Returns:
        0 after a signal; the exit code of what made it impossible to go on.

    Raises:
        UsageError: A file that the options name cannot be used.
        RunnerError: The port cannot be had, or the model cannot be loaded.
    """
    log = Log(sys.stdout, requests=options.log == "all")
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [Handler(log)], False
        logger.setLevel(logging.WARNING)
    service = Service(options, access.read_tokens(options.token_file) if options.token_file else ())
    config = _config(options, service, log)
    door = listen(options.host, options.port)
    sys.setswitchinterval(SWITCH_S)
    try:
        server = Server(config, options, service, log)
        server.run(sockets=[door])
    finally:
        door.close()
    if server.failure is not None:
        raise server.failure
    return 0


class Server(uvicorn.Server):
    """uvicorn's server, which loads a model in the background and drains before it ends.

    Args:
        config: uvicorn's configuration.
        options: How to serve.
        service: What answers.
        log: What is written.
    """

    def __init__(self, config: uvicorn.Config, options: Options, service: Service, log: Log) -> None:
        super().__init__(config)
        self._options, self._service, self._log = options, service, log
        self._began = time.monotonic()
        self._end_at: float | None = None
        self._signal: str | None = None
        self.failure: BaseException | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door, then load the model."""
        await super().startup(sockets)
        address = sockets[0].getsockname() if sockets else ("", 0)
        self._log.event("info", "listening", host=address[0], port=address[1], tls=self.config.is_ssl)
        # Not one of the loop's own threads, which it would wait for: a model may take minutes to load.
        threading.Thread(target=self._load, args=(asyncio.get_running_loop(),), name="load", daemon=True).start()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second: is it time to end?"""
        if self._signal is not None:  # not in the handler itself, which may have interrupted another line
            self._log.event("info", "draining", signal=self._signal, in_progress=self._service.in_progress)
            self._signal = None
        if self._end_at is not None and time.monotonic() >= self._end_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has been asked, then end."""
        self._service.draining = True
        for door in sockets or []:
            let_nobody_in(door)
        await asyncio.sleep(KNOCKING_S)
        await super().shutdown(sockets)
        if self._service.batcher is not None:
            self._service.batcher.close()
        self._log.event("info", "ended", requests=sum(self._service.metrics.requests.values()))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal, close the door at the second, leave all behind at the third."""
        self.force_exit = self.should_exit
        patience_s = self._options.drain_s if sig == signal.SIGTERM and not self._service.draining else 0.0
        self.should_exit = self._service.draining
        self._service.draining = True
        self._end_at = time.monotonic() + patience_s
        self._signal = signal.Signals(sig).name

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            done = partial(self._loaded, load(self._options))
        except BaseException as error:  # told to whoever called serve
            done = partial(self._failed, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended meanwhile
            loop.call_soon_threadsafe(done)

    def _failed(self, error: BaseException) -> None:
        self.failure = error
        self.should_exit = True

    def _loaded(self, loaded: Loaded) -> None:
        self._service.start(loaded)
        self._log.event(
            "info",
            "ready",
            model=loaded.model.name,
            file=loaded.model.facts["file"],
            platform=loaded.model.platform,
            instances=len(loaded.sessions),
            threads=loaded.threads,
            max_batch=loaded.model.max_rows if loaded.model.batched else 1,
            ms=round((time.monotonic() - self._began) * 1e3, 1),
        )


def _config(options: Options, service: Service, log: Log) -> uvicorn.Config:
    config = uvicorn.Config(
        Application(service, log),
        http=bounded(options.body_timeout_s, lambda: service.draining),
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=1024,
        timeout_keep_alive=options.idle_timeout_s,  # type: ignore[arg-type] # only given to the loop's call_later
        timeout_graceful_shutdown=int(options.body_timeout_s + options.inference_timeout_s) + 5,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # which errors of TLS are, too
        told = error.strerror or str(error)
        raise UsageError(
            f"--tls-cert {options.tls_cert} and --tls-key {options.tls_key} cannot be used: {told}"
        ) from error
    return config
