"""Does every request get an answer in the protocol's form, with the right status, and a line in the log?"""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgepack.serving.application import Application
from edgepack.serving.logs import Log
from edgepack.serving.options import Options
from edgepack.serving.service import Service

from .conftest import float_model, written

ROWS = np.arange(4, dtype=np.float32).reshape(2, 2)
TOKEN = b"0123456789abcdef"
INFER = "/v2/models/pair/infer"


@dataclass(frozen=True)
class Standin:
    """What `loading.Loaded` is to the service."""

    runs: tuple[Any, ...]
    model: Any
    quick_rows: int = 0


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers, body."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


class Client:
    """Talks to the application as an ASGI server does."""

    def __init__(self, service: Service, stream: io.StringIO) -> None:
        self.service, self.stream = service, stream
        self._application = Application(service, Log(stream))

    async def ask(
        self,
        method: str,
        path: str,
        *pieces: bytes,
        headers: dict[bytes, bytes] | None = None,
        last: Callable[[], Any] | None = None,
    ) -> Answer | None:
        """Send a request in pieces; ``last`` gives what comes instead of its end. None when nothing was answered."""
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        messages = messages or [{"type": "http.request", "body": b"", "more_body": True}]
        if last is None:
            messages[-1]["more_body"] = False
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            return (await last()) if last else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": list((headers or {}).items()),
            "client": ("10.0.0.9", 1),
            "root_path": "",
        }
        await self._application(scope, receive, send)
        if not sent:
            return None
        body = b"".join(message.get("body", b"") for message in sent[1:])
        assert not sent[-1].get("more_body", False)
        return Answer(sent[0]["status"], dict(sent[0]["headers"]), body)

    async def infer(self, **changed: Any) -> Answer:
        body, length = written([("x", "FP32", ROWS, True)])
        headers = {b"content-length": str(len(body)).encode(), b"inference-header-content-length": length or b""}
        answer = await self.ask("POST", INFER, body, **{"headers": headers, **changed})
        assert answer is not None
        return answer

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def run(
    use: Callable[[Client], Any], doubled: Any, *, loaded: bool = True, tokens: tuple[bytes, ...] = (), **options: Any
) -> Client:
    made: list[Client] = []

    async def main() -> None:
        service = Service(Options(**options), tokens)
        made.append(Client(service, io.StringIO()))
        if loaded:
            service.start(Standin((doubled,), float_model()))  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(use(made[0]), 20)
        finally:
            if service.batcher is not None:
                service.batcher.close()

    asyncio.run(main())
    return made[0]


def test_an_inference_is_answered_counted_and_logged_without_its_values(doubled: Any) -> None:
    async def use(client: Client) -> None:
        answer = await client.infer()
        assert answer.status == 200
        assert answer.said["outputs"][0]["data"] == [0, 2, 4, 6]
        assert answer.headers[b"content-length"] == str(len(answer.body)).encode()
        named = await client.ask("POST", "/v2/models/pair/versions/1/infer", *split(written_json(id="my-id")))
        assert named is not None and named.said["id"] == "my-id"
        text = await client.ask("GET", "/metrics")
        assert text is not None
        assert b'edgepack_requests_total{route="infer",status="200"} 2.0' in text.body
        assert b"edgepack_batch_rows_sum 4.0" in text.body
        assert b'edgepack_batch_rows_bucket{le="2.0"} 2.0' in text.body
        assert b"edgepack_ready 1.0" in text.body
        assert b"edgepack_model_info{" in text.body and b'model="pair"' in text.body

    lines = run(use, doubled).lines
    assert [line["path"] for line in lines] == [INFER, "/v2/models/pair/versions/1/infer", "/metrics"]
    first, second, _ = lines
    assert (first["status"], first["rows"], first["batch_rows"], first["client"]) == (200, 2, 2, "10.0.0.9")
    assert first["inference_ms"] >= 0 and first["ms"] >= first["queue_ms"] and first["bytes_in"] > 16
    assert second["id"] == "my-id"
    assert "data" not in json.dumps(lines)


def written_json(**rest: Any) -> bytes:
    return written([("x", "FP32", ROWS, False)], **rest)[0]


def split(body: bytes) -> list[bytes]:
    return [body[:5], body[5:50], body[50:]]


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v2/health/live", 200, {"live": True}),
        ("GET", "/v2/health/ready", 200, {"ready": True}),
        ("GET", "/v2/models/pair/ready", 200, {"name": "pair", "ready": True}),
        ("GET", "/v2/models/pair/versions/1/ready", 200, {"name": "pair", "ready": True}),
        ("GET", "/v2", 200, {"name": "edgepack", "version": "9", "extensions": ["binary_tensor_data"]}),
        ("GET", "/v2/models/pair", 200, float_model().metadata()),
        ("GET", "/v2/models/pair/versions/1", 200, float_model().metadata()),
        ("GET", "/v2/models/other", 404, "there is no model 'other' of version '1'; this server has 'pair'"),
        ("GET", "/v2/models/pair/versions/2", 404, "there is no model 'pair' of version '2'"),
        ("GET", "/v3", 404, "there is nothing at '/v3'; see GET /v2"),
        ("GET", INFER, 405, "GET is not for this address"),
        ("DELETE", "/v2", 405, "DELETE is not for this address"),
        ("POST", INFER, 400, "the request is not JSON"),
    ],
)
def test_addresses(method: str, path: str, status: int, said: Any, doubled: Any) -> None:
    async def use(client: Client) -> None:
        answer = await client.ask(method, path)
        assert answer is not None and answer.status == status
        if isinstance(said, str):
            assert said in answer.said["error"]
        else:
            assert answer.said == said

    (line,) = run(use, doubled, version="9").lines
    assert (line["status"], line["method"]) == (status, method)


def test_a_body_beyond_the_bound_is_refused_before_it_is_read_and_in_the_middle(doubled: Any) -> None:
    async def endless() -> Any:
        return {"type": "http.request", "body": b"x" * 1000, "more_body": len(client_.stream.getvalue()) == 0}

    async def use(client: Client) -> None:
        nonlocal client_
        client_ = client
        told = await client.ask("POST", INFER, headers={b"content-length": b"99999999"})
        assert told is not None and told.status == 413 and "at most 10485 are taken" in told.said["error"]
        assert told.headers[b"connection"] == b"close"
        big = {b"transfer-encoding": b"chunked"}
        chunked = await client.ask("POST", INFER, *[b"x" * 4000] * 9, headers=big)
        assert chunked is not None and chunked.status == 413
        long = await client.ask("POST", INFER, headers={b"content-length": b"9" * 30})
        assert long is not None and long.status == 413

    client_: Any = None
    run(use, doubled, max_body_mib=0.01)
    assert not doubled.batches


def test_a_body_that_does_not_come_is_given_up(doubled: Any) -> None:
    async def never() -> Any:
        await asyncio.sleep(60)

    async def use(client: Client) -> None:
        answer = await client.ask("POST", INFER, b"{", headers={b"content-length": b"100"}, last=never)
        assert answer is not None and answer.status == 408
        assert "not complete within 0.05 s; 1 bytes came" in answer.said["error"]
        assert answer.headers[b"connection"] == b"close"
        assert client.service.in_progress == 0

    run(use, doubled, body_timeout_s=0.05)


def test_a_client_that_goes_away_is_not_answered(doubled: Any) -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def use(client: Client) -> None:
        assert await client.ask("POST", INFER, b"{", headers={b"content-length": b"100"}, last=gone) is None
        assert client.service.in_progress == 0

    (line,) = run(use, doubled).lines
    assert line["status"] == 499


def test_more_requests_at_once_than_allowed_are_told_to_come_back(doubled: Any) -> None:
    async def slow() -> Any:
        await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    async def use(client: Client) -> None:
        first = asyncio.create_task(client.ask("POST", INFER, b"{", headers={b"content-length": b"9"}, last=slow))
        await asyncio.sleep(0.01)
        answer = await client.infer()
        assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")
        await first
        assert (await client.infer()).status == 200

    run(use, doubled, max_concurrency=1)


def test_compressed_bodies_are_refused(doubled: Any) -> None:
    async def use(client: Client) -> None:
        answer = await client.infer(headers={b"content-encoding": b"gzip"})
        assert answer.status == 415 and "'gzip'" in answer.said["error"]

    run(use, doubled)


def test_without_a_token_only_health_is_told(doubled: Any) -> None:
    async def use(client: Client) -> None:
        for path, status in (("/v2/health/live", 200), ("/v2/health/ready", 200), ("/v2", 401), ("/metrics", 401)):
            answer = await client.ask("GET", path)
            assert answer is not None and answer.status == status, path
        assert answer is not None and answer.headers[b"www-authenticate"] == b"Bearer"
        assert (await client.infer()).status == 401
        good = {b"authorization": b"Bearer " + TOKEN}
        found = await client.ask("POST", INFER, written_json(), headers=good)
        assert found is not None and found.status == 200

    lines = run(use, doubled, tokens=(TOKEN,)).lines
    assert TOKEN.decode() not in json.dumps(lines)


def test_before_it_is_loaded_the_model_is_not_there_yet(doubled: Any) -> None:
    async def use(client: Client) -> None:
        live, ready = [await client.ask("GET", f"/v2/health/{name}") for name in ("live", "ready")]
        assert live is not None and ready is not None
        assert (live.status, ready.status) == (200, 503)
        answer = await client.infer()
        assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")
        assert answer.said["error"] == "the model is being loaded"

    run(use, doubled, loaded=False)


def test_while_it_drains_it_is_not_ready_and_still_answers(doubled: Any) -> None:
    async def use(client: Client) -> None:
        client.service.draining = True
        for path in ("/v2/health/ready", "/v2/models/pair/ready"):
            answer = await client.ask("GET", path)
            assert answer is not None and answer.status == 503
        assert (await client.infer()).status == 200

    run(use, doubled)


def test_a_runtime_that_fails_leaves_its_place_and_not_its_words_in_the_log() -> None:
    def broken(feed: Any) -> Any:
        raise RuntimeError(f"values {feed['x'].tolist()}")

    async def use(client: Client) -> None:
        answer = await client.infer()
        assert answer.status == 500
        assert answer.said["error"] == "the runtime failed: RuntimeError; the server's log says more"

    failure, request = run(use, broken).lines
    assert (failure["event"], failure["error"]) == ("inference failed", "RuntimeError")
    assert "in broken" in failure["trace"][-1] or failure["trace"][-1].endswith(" broken")
    assert "values" not in json.dumps([failure, request])


def test_a_mistake_of_the_server_itself_is_a_500_in_the_same_form(
    doubled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgepack.serving.response.encode", lambda *_, **__: 1 / 0)

    async def use(client: Client) -> None:
        answer = await client.infer()
        assert (answer.status, answer.said["error"]) == (500, "the server failed; its log says more")

    failure, _ = run(use, doubled).lines
    assert failure["error"] == "ZeroDivisionError"
