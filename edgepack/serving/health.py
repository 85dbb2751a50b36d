"""Is the server of this container ready? If the container does not serve, there is nothing that could be wrong."""

import http.client
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from .options import Options, parse

TIMEOUT_S = 3.0


def main(root: Path = Path("/")) -> int:
    """Ask the server that runs beside this process.

    Its address is in its own words, so that one check fits every way to start the image.

    Args:
        root: Where ``proc`` is.

    Returns:
        0 when it is ready or there is none, else 1, with a line on standard output that says why.
    """
    for words in _servers(root / "proc"):
        options = parse(words)
        problem = ask(options)
        sys.stdout.write((problem or "ready") + "\n")
        return 1 if problem else 0
    sys.stdout.write("nothing is served here\n")
    return 0


def ask(options: Options) -> str | None:
    """Why a server on this machine is not ready, or None when it is."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104 - read, not bound
    connection: http.client.HTTPConnection
    if options.tls_cert is None:
        connection = http.client.HTTPConnection(host, options.port, timeout=TIMEOUT_S)
    else:
        # It asks itself: the certificate is made out to the name that others know.
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(host, options.port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", "/v2/health/ready")
        status = connection.getresponse().status
    except (TimeoutError, OSError, http.client.HTTPException) as error:
        return f"no answer from {host} port {options.port}: {error}"
    finally:
        connection.close()
    return None if status == 200 else f"not ready: status {status}"


def _servers(proc: Path) -> Iterator[list[str]]:
    """What follows ``serve`` in the words of each process that runs it."""
    for path in sorted(proc.glob("[0-9]*/cmdline")):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
        for place in range(len(words) - 1):
            if words[place] == __package__ and words[place + 1] == "serve":
                yield words[place + 2 :]
