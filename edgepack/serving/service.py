"""What is each request answered? The routes of the protocol, and what they need of the model."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from . import access, body, request, response
from .batching import Batcher
from .datatypes import PICTURES
from .errors import RequestError
from .loading import Loaded
from .metrics import Metrics
from .model import Model
from .options import LARGEST_DEFAULT_BODY, MIB, Options

JSON = ((b"content-type", b"application/json"),)
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass
class Exchange:
    """A request that is being answered, and what the log will say about it."""

    headers: dict[bytes, bytes]
    receive: Receive
    parameters: dict[str, str] = field(default_factory=dict)
    route: str = "none"
    status: int = 200
    content: bytes = b""
    content_headers: Headers = JSON
    body_read: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def answer(self, said: Any, status: int = 200) -> None:
        """Set the answer to a JSON document."""
        self.status, self.content, self.content_headers = status, orjson.dumps(said), JSON


Answer = Callable[[Exchange], Awaitable[None]]


class Service:
    """All that is behind the addresses: a model that is loaded in the background, its queue, its figures.

    Args:
        options: How to serve.
        tokens: Without one of these nothing but health is told; empty means that everybody may ask.
    """

    def __init__(self, options: Options, tokens: Sequence[bytes] = ()) -> None:
        self._options, self._tokens = options, tokens
        self.loaded: Loaded | None = None
        self.batcher: Batcher | None = None
        self.draining = False
        self.in_progress = 0
        gauges = {
            "ready": ("1 while new requests are welcome.", lambda: float(self.ready)),
            "queue_depth": ("Requests that wait for an instance.", lambda: self.batcher.depth if self.batcher else 0),
            "requests_in_progress": ("Inference requests between first byte and answer.", lambda: self.in_progress),
        }
        self.metrics = Metrics(gauges, self._info)
        self.router = Router(
            [
                self._route("/v2/models/{name}/infer", "infer", self._infer, "POST"),
                self._route("/v2/models/{name}/versions/{version}/infer", "infer", self._infer, "POST"),
                self._route("/v2/health/live", "live", self._live),
                self._route("/v2/health/ready", "ready", self._ready),
                self._route("/v2/models/{name}/ready", "model_ready", self._model_ready),
                self._route("/v2/models/{name}/versions/{version}/ready", "model_ready", self._model_ready),
                self._route("/v2/models/{name}", "model", self._metadata),
                self._route("/v2/models/{name}/versions/{version}", "model", self._metadata),
                self._route("/v2", "server", self._server),
                self._route("/v2/", "server", self._server),
                self._route("/metrics", "metrics", self._metrics),
            ],
            redirect_slashes=False,
            default=_nothing_there,
        )

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.batcher is not None and not self.draining

    @property
    def alive(self) -> bool:
        """Whether the runtime still comes back: some instance is free, or busy for no longer than a request may be."""
        return self.batcher is None or self.batcher.busy_s <= 2 * self._options.inference_timeout_s

    def start(self, loaded: Loaded) -> None:
        """Answer inference requests from now on; called on the event loop."""
        self.loaded = loaded
        self.batcher = Batcher(
            loaded.runs,
            max_rows=loaded.model.max_rows if loaded.model.batched else 1,
            max_queue=self._options.max_queue,
            quick_rows=loaded.quick_rows if len(loaded.runs) == 1 else 0,
            delay_s=self._options.batch_delay_ms / 1000,
            observe=self.metrics.inference,
        )

    def _route(self, path: str, name: str, answer: Answer, *methods: str) -> Route:
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            exchange: Exchange = scope["exchange"]
            exchange.route, exchange.parameters = name, scope["path_params"]
            authorised = not self._tokens or access.allowed(exchange.headers.get(b"authorization"), self._tokens)
            if not authorised and name not in ("live", "ready"):
                raise RequestError(401, "no valid token; expected the header `Authorization: Bearer TOKEN`")
            await answer(exchange)

        return Route(path, _Endpoint(endpoint), methods=methods or ("GET",))

    async def _live(self, exchange: Exchange) -> None:
        alive = self.alive
        exchange.answer({"live": alive}, 200 if alive else 503)

    async def _ready(self, exchange: Exchange) -> None:
        exchange.answer({"ready": self.ready}, 200 if self.ready else 503)

    async def _model_ready(self, exchange: Exchange) -> None:
        model = self._model(exchange)
        exchange.answer({"name": model.name, "ready": self.ready}, 200 if self.ready else 503)

    async def _server(self, exchange: Exchange) -> None:
        made_with = self.loaded.model.facts.get("edgepack") if self.loaded else None
        version = self._options.version or made_with or "unknown"
        exchange.answer({"name": "edgepack", "version": version, "extensions": ["binary_tensor_data"]})

    async def _metadata(self, exchange: Exchange) -> None:
        exchange.answer(self._model(exchange).metadata())

    async def _metrics(self, exchange: Exchange) -> None:
        await asyncio.to_thread(importlib.import_module, "prometheus_client.core")
        exchange.content, kind = self.metrics.text()
        exchange.content_headers = ((b"content-type", kind.encode()),)

    async def _infer(self, exchange: Exchange) -> None:
        model = self._model(exchange)
        if self.in_progress >= self._options.max_concurrency:
            raise RequestError(503, f"{self.in_progress} requests are in progress; try again later", retry_after_s=1)
        self.in_progress += 1
        try:
            await self._inferred(exchange, model)
        finally:
            self.in_progress -= 1

    async def _inferred(self, exchange: Exchange, model: Model) -> None:
        options, headers = self._options, exchange.headers
        limit = min(model.body_bytes or LARGEST_DEFAULT_BODY, LARGEST_DEFAULT_BODY)
        if options.max_body_mib is not None:
            limit = int(options.max_body_mib * MIB)
        sent = await body.read(headers, exchange.receive, limit_bytes=limit, timeout_s=options.body_timeout_s)
        exchange.body_read = True
        exchange.facts["bytes_in"] = len(sent)
        asked = request.parse(sent, headers.get(b"inference-header-content-length"))
        if asked.id:
            exchange.facts["id"] = asked.id[:100]
        wanted = model.wanted(asked)
        decodes = any(datatype == PICTURES for datatype, _ in asked.inputs.values())
        feed, rows = await asyncio.to_thread(model.feed, asked) if decodes else model.feed(asked)
        assert self.batcher is not None
        timeout_s = min(asked.timeout_s or options.inference_timeout_s, options.inference_timeout_s)
        outputs, job = await self.batcher.run(feed, rows, timeout_s)
        exchange.content, exchange.content_headers = response.encode(
            model.answer(outputs, asked, wanted), model=model.name, version=model.version, request_id=asked.id
        )
        waited_s = job.started_at - job.queued_at
        self.metrics.queue_s.observe(waited_s)
        exchange.facts |= {
            "rows": rows,
            "batch_rows": job.batch_rows,
            "queue_ms": round(waited_s * 1e3, 3),
            "inference_ms": round(job.inference_s * 1e3, 3),
        }

    def _model(self, exchange: Exchange) -> Model:
        """The model that an address names.

        Raises:
            RequestError: It is not loaded yet, or is not the one that is served.
        """
        if self.loaded is None:
            raise RequestError(503, "the model is being loaded", retry_after_s=1)
        model = self.loaded.model
        name, version = exchange.parameters["name"], exchange.parameters.get("version", model.version)
        if (name, version) != (model.name, model.version):
            told = f"there is no model {name[:200]!r} of version {version[:40]!r}"
            raise RequestError(404, f"{told}; this server has {model.name!r}, version {model.version!r}")
        return model

    def _info(self) -> dict[str, str]:
        if self.loaded is None:
            return {}
        facts = self.loaded.model.facts
        return {
            "model": self.loaded.model.name,
            **{key: str(facts.get(key, "")) for key in ("file", "runtime", "runtime_version", "sha256")},
        }


class _Endpoint:
    """What Starlette takes for an ASGI application: an object, where a function would get its Request."""

    def __init__(self, call: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._call(scope, receive, send)


async def _nothing_there(scope: Scope, receive: Receive, send: Send) -> None:
    raise RequestError(404, f"there is nothing at {scope['path'][:200]!r}; see GET /v2")
