"""What can be said to `serve`, in which limits, and what holds when nothing is said?"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runner.errors import UsageError

PORT = 8000
MIB = 1 << 20
LARGEST_DEFAULT_BODY = 64 * MIB


@dataclass(frozen=True)
class Options:
    """How to serve a bundle.

    Attributes:
        bundle: The bundle's folder.
        artifact: The file to serve; None for the manifest's choice, or else its first one.
        runtime: What runs it; None for the manifest's choice, or else the first one of the file.
        host: Address to listen on.
        port: Port to listen on; 0 for one that is free.
        threads: Threads of one inference; None for the manifest's number, as far as there are processors.
        instances: Copies of the model that run at the same time; None for as many as processors are left.
        max_batch: Rows of one request and of one inference, where the batch axis is free.
        batch_delay_ms: How long a free instance waits for more rows.
        max_queue: Requests that may wait for an instance; more are answered 429.
        max_concurrency: Inference requests that may be read and answered at the same time; more are answered 503.
        max_body_mib: What a body may have; None for what the model's inputs can take, at most 64 MiB.
        body_timeout_s: Until when a request must have come, header and body each.
        inference_timeout_s: What waiting and inference may take together.
        idle_timeout_s: How long a connection may stay open between two requests.
        drain_s: How long requests are still taken after SIGTERM, while ``ready`` says no.
        token_file: A file of tokens, one a line; None for no authentication.
        tls_cert: Certificate chain, PEM.
        tls_key: Its key, PEM.
        log: ``all`` for a line for each request, ``errors`` for refused ones only.
        version: The version of edgepack; None for that of the manifest.
    """

    bundle: Path = Path("/bundle")
    artifact: str | None = None
    runtime: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - in a container, which publishes its ports itself
    port: int = PORT
    threads: int | None = None
    instances: int | None = None
    max_batch: int = 32
    batch_delay_ms: float = 0.0
    max_queue: int = 128
    max_concurrency: int = 256
    max_body_mib: float | None = None
    body_timeout_s: float = 10.0
    inference_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    drain_s: float = 1.0
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log: str = "all"
    version: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError when a number is out of range or two options do not fit together."""
        least = {"port": 0, "threads": 1, "instances": 1, "max_batch": 1, "max_queue": 1, "max_concurrency": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise UsageError(f"{_flag(name)} {value}; expected at least {smallest}")
        for name in ("max_body_mib", "body_timeout_s", "inference_timeout_s", "idle_timeout_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{_flag(name)} {value:g}; expected a number above 0")
        for name in ("batch_delay_ms", "drain_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{_flag(name)} {getattr(self, name):g}; expected 0 or more")
        if self.port > 65535:
            raise UsageError(f"--port {self.port}; expected at most 65535")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key belong together; expected both or none")
        if self.log not in ("all", "errors"):
            raise UsageError(f"--log {self.log!r}; expected all or errors")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "None":  # type: ignore[override]
        raise UsageError(f"{message}; see `serve --help`")


def parse(words: Sequence[str]) -> Options:
    """The options that an image's `serve` got as words.

    Raises:
        UsageError: A word is unknown or a value is none.
        SystemExit: ``--help`` was answered.
    """
    parser = _Parser(prog="serve", description="Serve a model of the bundle: Open Inference Protocol v2 over HTTP.")
    plain = Options()

    def add(name: str, kind: type, told: str) -> None:
        default = getattr(plain, name)
        parser.add_argument(_flag(name), type=kind, default=default, metavar=kind.__name__.upper(), help=told)

    add("bundle", Path, "folder with manifest.json (%(default)s)")
    add("artifact", str, "the file to serve (the manifest's choice, else its first)")
    add("runtime", str, "what runs it (the manifest's choice, else the file's first)")
    add("host", str, "address to listen on (%(default)s)")
    add("port", int, "port to listen on (%(default)s)")
    add("threads", int, "threads of one inference (the manifest's number)")
    add("instances", int, "copies of the model that run at once (as processors allow, at most 4)")
    add("max_batch", int, "rows of one inference, where the batch axis is free (%(default)s)")
    add("batch_delay_ms", float, "how long a free instance waits for more rows (%(default)s)")
    add("max_queue", int, "requests that wait, beyond which 429 is the answer (%(default)s)")
    add("max_concurrency", int, "requests at once, beyond which 503 is the answer (%(default)s)")
    add("max_body_mib", float, "size of a body, beyond which 413 is the answer (what the model takes, at most 64)")
    add("body_timeout_s", float, "until when a request must have come whole (%(default)s)")
    add("inference_timeout_s", float, "what waiting and inference may take (%(default)s)")
    add("idle_timeout_s", float, "how long an unused connection stays open (%(default)s)")
    add("drain_s", float, "how long requests are taken after SIGTERM (%(default)s)")
    add("token_file", Path, "tokens, one a line; every request but health needs one")
    add("tls_cert", Path, "certificate chain, PEM; with --tls-key")
    add("tls_key", Path, "key of the certificate, PEM")
    add("log", str, "all: a line for each request; errors: for refused ones only (%(default)s)")
    return Options(**vars(parser.parse_args(list(words))))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
