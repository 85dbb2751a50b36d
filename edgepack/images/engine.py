"""How is a build context turned into an image by a container engine, and what came out?"""

import os
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import DeviceError, EdgepackError, MissingError, RecipeError
from edgepack.images import base, contents, facts, leftovers
from edgepack.images import context as contexts

DEFAULT_HOST = "unix:///var/run/docker.sock"
PING_TIMEOUT_S = 10
# Longest silence of an engine that is at work, such as while it unpacks a CUDA base image.
WORK_TIMEOUT_S = 600
MIB = 1024 * 1024

NO_SPACE = "no space left on device"
LAYER_GONE = ("unknown parent image id", "failed to get digest sha256:", "no such image: sha256:")
"""What the engine says where somebody removed a layer that a build has just made or found in the cache."""
ATTEMPTS = 3
LOST_FIX = "start it again, look at its log, then repeat the command; nothing else is lost"


@dataclass(frozen=True)
class Status:
    """Whether an engine answers: its version, or else None and the reason.

    Attributes:
        version: The server's version, or None when none answers.
        reason: Why none answers, one sentence; empty when one does.
    """

    version: str | None
    reason: str


@dataclass(frozen=True)
class ImageLayer:
    """One part of an image: `base`, `runtime`, `runner` or `model`, and what it takes unpacked."""

    name: str
    size_mib: float


@dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
        id: Its content digest, `sha256:` and 64 hexadecimal digits.
        tag: The name that it was given.
        platform: What it runs on, such as `linux/amd64`.
        size_mib: What it takes unpacked, the base included.
        layers: Its parts from the bottom up; their sizes add up to `size_mib`.
        base_image: Reference of the base image.
        base_digest: The base's registry digest where it has one, else its image id.
    """

    id: str
    tag: str
    platform: str
    size_mib: float
    layers: tuple[ImageLayer, ...]
    base_image: str
    base_digest: str


def connect(host: str | None = None) -> Any:
    """A client of the engine that answers; close it after use, or use it in a `with contextlib.closing`.

    Args:
        host: The engine's address, such as `unix:///run/docker.sock`, or None for DOCKER_HOST and then the
            usual socket.

    Returns:
        A `docker.DockerClient`.

    Raises:
        MissingError: No engine answers there.
    """
    import docker

    client: Any = None
    try:
        _probe(address(host))
        if host:
            client = docker.DockerClient(base_url=host, version="auto", timeout=PING_TIMEOUT_S)
        else:
            client = docker.from_env(version="auto", timeout=PING_TIMEOUT_S)
        client.ping()
    except Exception as error:  # the SDK lets errors of four libraries through
        if client is not None:
            client.close()
        raise MissingError(
            f"no container engine answers at {address(host)}: {base.first_line(error)}",
            fix="start one (`sudo systemctl start docker`, or `sudo dockerd`), let this user use its socket "
            "(group docker), or name another with DOCKER_HOST",
        ) from error
    client.api.timeout = WORK_TIMEOUT_S
    return client


def address(host: str | None = None) -> str:
    """Where the engine listens: as given, or by DOCKER_HOST, or at the usual socket."""
    return host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def _probe(address: str) -> None:
    """Open and close the engine's socket: the SDK would leak its own when nobody listens there.

    Raises:
        OSError: Nobody listens.
    """
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PING_TIMEOUT_S)
            probe.connect(address.removeprefix("unix://"))


def status(host: str | None = None) -> Status:
    """Whether an engine answers, without raising."""
    try:
        client = connect(host)
    except MissingError as error:
        return Status(None, error.message)
    try:
        return Status(str(client.version().get("Version", "unknown")), "")
    except Exception as error:
        return Status(None, f"the engine answers and then fails: {base.first_line(error)}")
    finally:
        client.close()


def available(host: str | None = None) -> str | None:
    """The version of the engine that answers, or None; `status` also tells why."""
    return status(host).version


def build_command(context: Path, tag: str, platform: str, base_image: str) -> str:
    """The line that builds the same image by hand, to be copied into a shell."""
    argv = ["docker", "build", "--network", "none", "--platform", platform, "--tag", tag]
    return shlex.join([*argv, "--build-arg", f"BASE_IMAGE={base_image}", str(context)])


def build(
    context: Path,
    *,
    tag: str,
    platform: str,
    base_image: str,
    progress: Callable[[str], None],
    host: str | None = None,
) -> Image:
    """Build a context with networking off, and look at what came out.

    Args:
        context: A folder that `context.write` made.
        tag: The name that the image gets.
        platform: What it runs on, such as `linux/arm64`; nothing of it is executed.
        base_image: The image to start from; pulled when the engine does not have it.
        progress: Called with one line for each step.
        host: The engine's address, or None for the usual one.

    Raises:
        MissingError: No engine answers, the context is not complete, or the base image cannot be had, is for
            another platform or has another Python.
        RecipeError: The context was written for another platform.
        DeviceError: The engine refused a step or stopped answering.
    """
    described = contexts.read(context)
    if described.platform != platform:
        raise RecipeError(
            f"{context} holds packages for {described.platform}; an image for {platform} was asked for",
            fix=f"write it again for the other one: edgepack image BUNDLE --platform {platform}",
        )
    client = connect(host)
    try:
        with failures("while it looked for the base image"):
            leftovers.sweep(client, address(host))
            record = base.require(client, base_image, platform, progress)
            base.check_python(client, record, base_image, described.python_version)
            _check_provided(record, base_image, described.provided)
        with failures("in the middle of the build"):
            before = _id_of(client, tag)
            command = build_command(context, tag, platform, base_image)
            made = _run_build(
                client,
                context,
                progress,
                command,
                address(host),
                tag=tag,
                platform=platform,
                buildargs={"BASE_IMAGE": base_image},
            )
            if before and before != made:
                with suppress(Exception):  # it may have another name or a container; then it stays
                    client.api.remove_image(before)
            total = int(client.api.inspect_image(made)["Size"])
            sizes = contents.layer_sizes(
                client.api.history(made), total, tuple(layer.name for layer in described.layers)
            )
        return Image(
            id=made,
            tag=tag,
            platform=platform,
            size_mib=total / MIB,
            layers=tuple(ImageLayer(name, size / MIB) for name, size in sizes),
            base_image=base_image,
            base_digest=base.digest(record),
        )
    finally:
        client.close()


def _check_provided(record: Mapping[str, Any], reference: str, left_out: Sequence[str]) -> None:
    """Refuse a base image without the packages that the context left to it.

    Raises:
        MissingError: One is not there, or in another version.
    """
    has = {f"{name}=={version}" for name, version in facts.provided(record, reference)}
    missing = sorted(set(left_out) - has)
    if missing:
        raise MissingError(
            f"the base image {reference} does not have {', '.join(missing)}, which this context leaves to its base; "
            f"it has {', '.join(sorted(has)) or 'no such package'}",
            fix="write the context again for this base: edgepack image BUNDLE --base-image " + reference,
        )


@contextmanager
def failures(when: str) -> Iterator[None]:
    """Turn the errors of the SDK and of the libraries below it into one of ours."""
    import docker.errors
    import requests
    import urllib3.exceptions

    lost = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)
    try:
        yield
    except EdgepackError:
        raise
    except docker.errors.APIError as error:
        raise DeviceError(
            f"the container engine failed {when}: {base.first_line(error)}",
            fix="look at the engine's log, then repeat the command",
        ) from error
    except (*lost, docker.errors.DockerException) as error:
        raise DeviceError(
            f"the container engine stopped answering {when}: {base.first_line(error)}",
            fix=LOST_FIX,
        ) from error


def _run_build(
    client: Any, context: Path, progress: Callable[[str], None], command: str, host: str, **options: Any
) -> str:
    """Run the build and return the new image's id; after a failure, remove what it left.

    Builds that share layers may meet on one engine, and who replaces a tag removes the layers below the old image: a
    build that loses one that way is run again (https://github.com/moby/moby/issues/36901).
    """
    for _ in range(ATTEMPTS):
        with leftovers.Ledger(host) as ledger:
            done, refused = _attempt(client, context, progress, ledger, options)
        if not any(sign in refused.lower() for sign in LAYER_GONE):
            break
    if refused and NO_SPACE in refused.lower():
        raise MissingError(
            f"the container engine has no space left for the image: {refused}",
            fix="free some on the engine's disk: docker system df shows what takes it; then repeat the command",
        )
    if refused:
        raise DeviceError(f"the container engine refused the build: {refused}", fix=f"see what it says to: {command}")
    if not done:
        raise DeviceError("the container engine stopped answering in the middle of the build", fix=LOST_FIX)
    return done


def _attempt(
    client: Any,
    context: Path,
    progress: Callable[[str], None],
    ledger: leftovers.Ledger,
    options: Mapping[str, Any],
) -> tuple[str, str]:
    """Build once: the new image's id, or what the engine said of its failure."""
    done = refused = ""
    try:
        for line in client.api.build(
            path=str(context), network_mode="none", rm=True, forcerm=True, decode=True, **options
        ):
            # Read to its end also then, else its connection is lost.
            refused = refused or line.get("error", "").strip()
            text = line.get("stream", "").strip()
            if text.startswith("---> "):
                ledger.note(text.removeprefix("---> "))
            elif text.startswith("Step "):
                progress(text)
            done = line.get("aux", {}).get("ID", done)
    except KeyboardInterrupt:
        refused = "interrupted"
        raise
    finally:
        if refused:
            patience, client.api.timeout = client.api.timeout, PING_TIMEOUT_S
            leftovers.remove(client, ledger.images)
            client.api.timeout = patience
        if refused or done:
            ledger.forget()
    return done, refused


def _id_of(client: Any, tag: str) -> str:
    """The id of the image that has this name now, or nothing."""
    import docker.errors

    try:
        return str(client.api.inspect_image(tag)["Id"])
    except docker.errors.ImageNotFound:
        return ""
