"""How does work run in a container without network, privileges or anything to write, all of it bounded?"""

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from edgepack.errors import DeviceError, EdgepackError, RecipeError
from edgepack.images import base, emulation, engine
from edgepack.proc import Completed
from edgepack.protocol import Protocol
from edgepack.transports import Device, _parcels, document, quiet
from edgepack.transports import local as local_transport
from edgepack.transports._closing import Closing

USER = "65532:65532"
MEMORY_MIB = 2048
PROCESSES = 256
TEMPORARY_MIB = 64
SIGKILLED = 137
EMULATED_RUNS = 5
GIVEN = PurePosixPath("/given")
"""Where in a container the files and folders lie that the runner is asked about."""


class Docker(Closing):
    """Containers of one image, a fresh one for each run.

    ``run`` gives its words to the image as ``docker run IMAGE WORDS`` does: to the image's entry point where
    it has one. What was pushed is mounted read-only; a relative remote path starts at the image's own working
    folder, and an absolute one may also replace a file of the image or of the kernel (``/proc/cpuinfo``).

    Args:
        image: Tag or id of an image that the engine has; nothing is pulled.
        memory_mib: Memory that a container may use; it is ended beyond that.
        entrypoint: Instead of the image's; ``[]`` for none.
        host: The engine's address, or None for DOCKER_HOST and then the usual socket.

    Attributes:
        device: Named after the image.
        say: Not used: nothing here takes a while.
        image: As given.
        prefix: How the names of its containers begin.

    Raises:
        MissingError: No engine answers, or it does not have the image.
    """

    def __init__(
        self,
        image: str,
        *,
        memory_mib: int = MEMORY_MIB,
        entrypoint: Sequence[str] | None = None,
        host: str | None = None,
    ) -> None:
        self.device = Device(f"docker:{image}", image.replace("/", "-").replace(":", "-"))
        self.say: Callable[[str], None] = quiet
        self.image = image
        self.prefix = f"edgepack-{uuid.uuid4().hex[:12]}"
        self._runs = 0
        self._memory_mib = memory_mib
        # The engine takes an empty list for "the image's own".
        self._entrypoint = None if entrypoint is None else (list(entrypoint) or [""])
        self._client: Any = engine.connect(host)
        try:
            with _engine_errors(f"looking for the image {image}"):
                record = base.inspect(self._client, image)
                self._architecture = str(record.get("Architecture") or "")
                self._engine = str(self._client.version().get("Arch") or "")
            self._workdir = PurePosixPath((record.get("Config") or {}).get("WorkingDir") or "/")
            self._emulated = emulation.processor(image, self._architecture, self._engine)
        except BaseException:
            self._client.close()
            raise
        self._staging = Path(tempfile.mkdtemp(prefix="edgepack-"))
        # The container's user is nobody that this machine knows.
        self._staging.chmod(0o755)
        self._mounts: dict[str, Path] = {}

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file or a folder for the next runs; see `Transport`. Absolute paths are allowed here."""
        staged = self._staging / uuid.uuid4().hex
        local_transport.copy(local, staged)
        _make_readable(staged)
        self._mounts[str(self._workdir / remote)] = staged

    def run(self, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None) -> Completed:
        """Run a container to its end; see `Transport`. It is removed by its name in any case."""
        self._runs += 1
        name = f"{self.prefix}-{self._runs}"
        with _engine_errors(f"running {self.image}"):
            try:
                container = self._client.containers.create(
                    self.image, list(argv) or None, name=name, environment=self._environment(env), **self._limits()
                )
                container.start()
                code = _wait(container, timeout_s)
                output = container.logs(stdout=True, stderr=False)
                complaints = container.logs(stdout=False, stderr=True)
                container.reload()
            finally:
                self._remove(name)
        if code == SIGKILLED and container.attrs["State"].get("OOMKilled"):
            raise DeviceError(
                f"the container of {self.image} needed more than {self._memory_mib} MiB and was ended",
                fix="give it more memory, or package a smaller model",
            )
        if code in emulation.NOT_STARTED and self._emulated and not output:
            raise emulation.missing(self.image, self._architecture, self._engine)
        words = ("docker", "run", self.image, *argv)
        return Completed(words, code, output.decode(errors="replace"), complaints.decode(errors="replace"))

    def protocol(self, asked: Protocol) -> Protocol:
        """As asked; under emulation, where times mean nothing, as short as shows that it runs."""
        if not self._emulated:
            return asked
        return replace(
            asked,
            warmup_s=0.0,
            min_runs=min(asked.min_runs, EMULATED_RUNS),
            min_time_s=0.0,
            quick=True,
            processes=1,
        )

    def ask(self, words: Sequence[str | Path], *, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Ask the runner that is the image's entry point; see `Transport`."""
        given = [self._give(word) if isinstance(word, Path) else word for word in words]
        return document(self.run(given, timeout_s=timeout_s))

    def _give(self, path: Path) -> str:
        """Stage what the runner needs of a path; returns where it will be."""
        staged = self._staging / uuid.uuid4().hex
        _parcels.unpack(_parcels.contents(path), staged)
        _make_readable(staged)
        place = GIVEN / staged.name
        self._mounts[str(place)] = staged
        return str(place / path.name if path.is_file() else place)

    def close(self) -> None:
        """Remove what was staged and hang up; no container is left, as each run removes its own."""
        shutil.rmtree(self._staging, ignore_errors=True)
        self._client.close()

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        return {**(self._emulated.environment() if self._emulated else {}), **(env or {})}

    def _limits(self) -> dict[str, Any]:
        from docker.types import LogConfig

        memory = f"{self._memory_mib}m"
        mounts = {**(self._emulated.mounts() if self._emulated else {}), **self._mounts}
        return {
            "entrypoint": self._entrypoint,
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": f"size={TEMPORARY_MIB}m,mode=1777"},  # noqa: S108 - inside the container
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "user": USER,
            # An emulated program that crashes as process 1 hangs instead of ending.
            "init": True,
            "mem_limit": memory,
            "memswap_limit": memory,
            "pids_limit": PROCESSES,
            # The output is read back from the log, whatever the engine's default is.
            "log_config": LogConfig(type="json-file"),
            "labels": {"edgepack": "run"},
            "volumes": {str(host): {"bind": inner, "mode": "ro"} for inner, host in mounts.items()},
        }

    def _remove(self, name: str) -> None:
        from docker.errors import NotFound

        with suppress(NotFound):
            self._client.api.remove_container(name, force=True, v=True)


def connect(address: str, **options: Any) -> Docker:
    """Containers of an image.

    Args:
        address: Tag or id of the image.
        options: As `Docker` takes.

    Raises:
        RecipeError: No image was named.
        MissingError: No engine answers, or it does not have the image.
    """
    if not address:
        raise RecipeError("docker needs an image, but got none", fix="write: docker:IMAGE")
    return Docker(address, **options)


def _wait(container: Any, timeout_s: float) -> int:
    """The container's exit code, or DeviceError when it takes too long; it is killed by being removed."""
    import requests

    start_s = time.monotonic()
    try:
        return int(container.wait(timeout=timeout_s)["StatusCode"])
    except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError) as error:
        # The client library reports its own time-out in either of these forms.
        if time.monotonic() - start_s < timeout_s:
            raise
        said = _last_line(container.logs(tail=1))
        raise DeviceError(
            f"the container did not finish within {timeout_s:g} s" + (f"; it last said: {said}" if said else ""),
            fix="allow more time, or look at what it waits for",
        ) from error


@contextmanager
def _engine_errors(action: str) -> Iterator[None]:
    """Turn what the engine or its connection throws into DeviceError."""
    import docker
    import requests

    try:
        yield
    except EdgepackError:
        raise
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise DeviceError(
            f"the container engine failed while {action}: {_first_line(error)}",
            fix="look at the engine's log, or restart it and try again",
        ) from error


def _make_readable(path: Path) -> None:
    """Let everybody read a staged copy, however closed the original was."""
    for entry in [path, *path.rglob("*")]:
        entry.chmod(0o755 if entry.is_dir() else 0o644)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
