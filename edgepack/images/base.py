"""Is the base image of a build there, for the right platform and with the right Python?"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from edgepack.errors import MissingError
from edgepack.images.leftovers import looking

WITH_ADB = "edgepack/base:bookworm-adb"
"""The base image that containers/base/build makes for phones."""

FIX = (
    "check the name and the network, name another with --base-image, or make one from Debian packages: "
    "containers/base/build, then --base-image edgepack/base:bookworm "
    f"(for phones: containers/base/build --with adb, then --base-image {WITH_ADB})"
)


def require(client: Any, reference: str, platform: str, progress: Callable[[str], None]) -> Mapping[str, Any]:
    """What the engine says about a base image, pulled when it is not there.

    Args:
        client: A `docker.DockerClient`.
        reference: The image's name.
        platform: What it must run on, such as `linux/arm64`.
        progress: Called with one line before a pull.

    Returns:
        The engine's record of the image.

    Raises:
        MissingError: It cannot be pulled, or the one that is there is for another platform.
    """
    import docker.errors

    try:
        found: Mapping[str, Any] = client.api.inspect_image(reference)
    except docker.errors.APIError:
        progress(f"pulling the base image {reference} for {platform}")
        found = _pull(client, reference, platform)
    has = f"{found['Os']}/{found['Architecture']}"
    if has != platform:
        raise MissingError(
            f"the base image {reference} on this engine is for {has}; one for {platform} is needed",
            fix=f"get the other one (docker pull --platform {platform} {reference}), name another with "
            f"--base-image, or make one: containers/base/build --arch {platform.split('/')[1]}",
        )
    return found


def inspect(client: Any, image: str) -> Mapping[str, Any]:
    """The engine's record of an image.

    Raises:
        MissingError: It has no such image.
    """
    import docker.errors

    try:
        found: Mapping[str, Any] = client.api.inspect_image(image)
    except docker.errors.ImageNotFound as error:
        raise MissingError(
            f"the container engine has no image {image!r}", fix="build it (edgepack image BUNDLE), or pull it"
        ) from error
    return found


def digest(record: Mapping[str, Any]) -> str:
    """An image's registry digest where it has one, else its id."""
    return str((record.get("RepoDigests") or [record["Id"]])[0])


def check_python(client: Any, record: Mapping[str, Any], reference: str, wanted: str) -> None:
    """Refuse a base image whose python3 is not the one that the wheels are for.

    The container that this looks into is never started, so that it works for a foreign architecture as well:
    Debian, Ubuntu and the official Python images all have a link `python3` that names the version.

    Args:
        client: A `docker.DockerClient`.
        record: The engine's record of the image.
        reference: The image's name, for the message.
        wanted: The version, such as `3.11`.

    Raises:
        MissingError: It has no python3, or another one.
    """
    search = dict(item.split("=", 1) for item in record["Config"].get("Env") or ()).get("PATH", "/usr/bin:/bin")
    with looking(client, str(record["Id"])) as container:
        found = _link(client, container, search)
    if found is None:
        raise MissingError(f"the base image {reference} has no python3 in {search}", fix=FIX)
    if PurePosixPath(found).name.removeprefix("python") != wanted:
        raise MissingError(
            f"the base image {reference} has {found}; the wheels in the image are for Python {wanted}",
            fix=f"name a base image with Python {wanted}, or make one: containers/base/build (Python 3.11)",
        )


def first_line(error: BaseException) -> str:
    """The shortest true explanation of an error: the operating system's own words, or else its first line."""
    innermost, reason = error, ""
    while True:
        if isinstance(innermost, OSError) and innermost.strerror:
            reason = innermost.strerror
        following = innermost.__cause__ or innermost.__context__
        if following is None:
            break
        innermost = following
    text = str(getattr(error, "explanation", None) or reason or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _pull(client: Any, reference: str, platform: str) -> Mapping[str, Any]:
    import docker.errors
    import requests

    name, tag = _name_and_tag(reference)
    try:
        for line in client.api.pull(name, tag, platform=platform, stream=True, decode=True):
            if "error" in line:
                raise docker.errors.APIError(line["error"])
        found: Mapping[str, Any] = client.api.inspect_image(reference)
    except (docker.errors.APIError, requests.exceptions.ReadTimeout) as error:
        raise MissingError(
            f"the base image {reference} for {platform} is not on this engine and cannot be pulled: "
            f"{first_line(error)}",
            fix=FIX,
        ) from error
    return found


def _name_and_tag(reference: str) -> tuple[str, str | None]:
    """`name:tag` in two; a digest stays with the name, and no tag means `latest`, not all of them."""
    if "@" in reference:
        return reference, None
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, "latest")


def _link(client: Any, container: str, search: str) -> str | None:
    """Where the first `python3` on a search path leads to, or None."""
    import docker.errors

    for folder in search.split(":"):
        try:
            stream, found = client.api.get_archive(container, f"{folder}/python3")
        except docker.errors.NotFound:
            continue
        for _ in stream:  # read to its end, else its connection is lost
            pass
        return str(found.get("linkTarget") or f"{folder}/python3")
    return None
