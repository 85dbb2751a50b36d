"""How does an image get into a registry, with the engine's own credentials and no others?"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgepack.errors import DeviceError, MissingError, RecipeError
from edgepack.images import base, engine
from edgepack.images.references import DOMAIN, PATH, PORT, TAG

# A registry is a host with a dot, a port or the name localhost.
REFERENCE = re.compile(rf"(?P<host>{DOMAIN}{PORT})/(?P<path>{PATH})(?::(?P<tag>{TAG}))?")
DENIED = re.compile(r"denied|unauthorized|authentication required|no basic auth credentials", re.IGNORECASE)


@dataclass(frozen=True)
class Name:
    """Where an image is pushed to: `host/path` and a tag."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Pushed:
    """An image in a registry.

    Attributes:
        reference: Its name there, with the tag.
        digest: Digest of its manifest, `sha256:` and 64 hexadecimal digits.
    """

    reference: str
    digest: str


def parse(reference: str, tag: str) -> Name:
    """A registry's name for an image.

    Args:
        reference: `REGISTRY/NAME` or `REGISTRY/NAME:TAG`, as `docker push` takes it.
        tag: What stands in where the reference has none.

    Raises:
        RecipeError: It is not of this form. What was given is not repeated: it may hold a password.
    """
    match = REFERENCE.fullmatch(reference)
    named = match is not None and ("." in match["host"] or ":" in match["host"] or match["host"] == "localhost")
    if match is None or not named:
        hint = " without user, password and https://" if "@" in reference or "://" in reference else ""
        raise RecipeError(
            f"--push got a name that is none; expected REGISTRY/NAME or REGISTRY/NAME:TAG{hint}, in lower case, "
            "such as registry.example.com/team/digits:1.0",
            fix="correct --push; credentials are those of the engine: docker login REGISTRY",
        )
    return Name(f"{match['host']}/{match['path']}", match["tag"] or tag)


def push(client: Any, image: str, name: Name, progress: Callable[[str], None]) -> Pushed:
    """Give an image a registry's name and send it there.

    The credentials are those that `docker login` left: in Docker's configuration or with its credential helpers
    (https://docs.docker.com/reference/cli/docker/login/). They are read by the SDK, and kept nowhere.

    Args:
        client: A `docker.DockerClient`.
        image: The image's id.
        name: Where to.
        progress: Called with one line before it is sent.

    Raises:
        MissingError: The registry wants credentials that are not there, or refuses those that are.
        DeviceError: It cannot be reached, or fails.
    """
    digest = refused = ""
    with engine.failures(f"while the image was pushed to {name}"):
        client.api.tag(image, name.repository, name.tag, force=True)
        progress(f"pushing {name}")
        for line in client.api.push(name.repository, tag=name.tag, stream=True, decode=True):
            # Read to its end also then, else its connection is lost.
            refused = refused or str(line.get("error", "")).strip()
            digest = (line.get("aux") or {}).get("Digest", digest)
    if refused:
        said = base.first_line(RuntimeError(refused))
        if DENIED.search(refused):
            raise MissingError(
                f"the registry did not take {name}: {said}",
                fix=f"docker login {name.repository.split('/')[0]}, with an account that may push there",
            )
        raise DeviceError(
            f"the image could not be pushed to {name}: {said}",
            fix="check the registry's name and that it answers, then repeat the command",
        )
    if not digest:
        raise DeviceError(f"the engine did not say which digest {name} has now", fix="repeat the command")
    return Pushed(str(name), digest)
