"""Does the image's check find the server beside it, whatever its words were, and say what is wrong with it?"""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgepack.serving import health


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers everything with one status; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/v2/health/ready"
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def processes(root: Path, *all_words: list[str]) -> Path:
    for number, words in enumerate(all_words, 1):
        folder = root / "proc" / str(number)
        folder.mkdir(parents=True)
        (folder / "cmdline").write_text("".join(f"{word}\0" for word in words))
    (root / "proc" / "self").mkdir(parents=True, exist_ok=True)
    return root


INIT = ["/sbin/docker-init", "--", "python3", "-m", "edgepack.serving"]
SERVE = ["python3", "-m", "edgepack.serving", "serve"]


def test_a_container_that_measures_is_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = processes(tmp_path, [*INIT, "bench"], ["python3", "-m", "edgepack.serving", "bench"], [])
    assert health.main(root) == 0
    assert capsys.readouterr().out == "nothing is served here\n"


@pytest.mark.parametrize(("status", "code", "said"), [(200, 0, "ready"), (503, 1, "not ready: status 503")])
def test_a_server_is_asked_at_its_own_port(
    status: int, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status) as port:
        assert health.main(processes(tmp_path, [*SERVE, "--log", "errors", "--port", str(port)])) == code
    assert capsys.readouterr().out == f"{said}\n"


def test_a_server_that_does_not_answer_is_not_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200) as port:
        pass
    assert health.main(processes(tmp_path, [*SERVE, "--port", str(port)])) == 1
    assert f"no answer from 127.0.0.1 port {port}" in capsys.readouterr().out
