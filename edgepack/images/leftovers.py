"""What does a build that was cut off leave on the engine, and who takes it away?"""

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

LOOKING = {"edgepack": "look"}
"""Label of the containers that are made to look into an image; none is ever started, and none lives for long."""

STEP = "Running in "
"""How the engine announces the container of a step, where it announces an image by its id alone."""

OLD_S = 600.0
FORGOTTEN_S = 30 * 86400.0
"""An engine that has not been built on for so long is gone, and its list is thrown away."""


def folder() -> Path:
    """Where builds note what they make: ``$XDG_CACHE_HOME/edgepack/builds``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "edgepack" / "builds"


class Ledger:
    """The nameless images and containers of one build, written down as they appear; a context manager.

    A build that ends, well or not, removes what it should and forgets its list. Where the engine or this process was
    killed the list stays, and the next build on that engine removes what is on it (`sweep`).

    Args:
        host: The engine's address.
        place: Folder of the lists.
    """

    def __init__(self, host: str, place: Path | None = None) -> None:
        place = place or folder()
        place.mkdir(parents=True, exist_ok=True)
        self._path = place / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._file: IO[str] = self._path.open("w", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.images: list[str] = []
        self._write(host)

    def note(self, image: str) -> None:
        """Add an image, or a container as `STEP` and its id."""
        self.images.append(image)
        self._write(image)

    def forget(self) -> None:
        """Nothing of this build is to be removed later."""
        self._path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def sweep(client: Any, host: str, place: Path | None = None) -> None:
    """Remove what builds on this engine left that are no longer running.

    Args:
        client: A `docker.DockerClient`.
        host: The engine's address.
        place: Folder of the lists.
    """
    for path in sorted((place or folder()).glob("*-*")):
        with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by a build that goes on
            first, *images = file.read().splitlines() or [""]
            if first == host:
                remove(client, images)
            if first == host or time.time() - path.stat().st_mtime > FORGOTTEN_S:
                path.unlink(missing_ok=True)
    for container in client.api.containers(
        all=True, filters={"status": "created", "label": [f"{key}={value}" for key, value in LOOKING.items()]}
    ):
        if time.time() - container["Created"] > OLD_S:
            with suppress(Exception):
                client.api.remove_container(container["Id"], force=True, v=True)


def remove(client: Any, noted: list[str]) -> None:
    """Remove nameless images and the containers of steps, the newest first; what is named or in use stays."""
    for image in reversed(noted):
        with suppress(Exception):  # it is gone already, or another build uses it
            if image.startswith(STEP):
                client.api.remove_container(image.removeprefix(STEP), force=True, v=True)
            elif not client.api.inspect_image(image)["RepoTags"]:
                client.api.remove_image(image)


@contextmanager
def looking(client: Any, image: str) -> Iterator[str]:
    """A container of an image that is never started, to read files from; gone afterwards.

    Args:
        client: A `docker.DockerClient`.
        image: The image's name or id.
    """
    container = str(client.api.create_container(image, command=["none"], network_disabled=True, labels=LOOKING)["Id"])
    try:
        yield container
    finally:
        client.api.remove_container(container, force=True, v=True)
