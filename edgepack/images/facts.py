"""What is in a base image already: which packages of Python, which of Debian, and in which digest was it used?"""

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from edgepack.errors import MissingError
from edgepack.images import base
from edgepack.images.leftovers import looking

PROVIDES = "io.edgepack.provides"
"""Label of an image: distributions of Python that its python3 imports, ``numpy==1.24.2``, with spaces between."""

STATUS = ("/var/lib/dpkg/status.d", "/var/lib/dpkg/status")
"""Where Debian's packages are listed: one file each in images without a package manager, else one for all."""

REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9.+!-]*)"
)
# A label or a list of packages that is longer is no such thing.
LONGEST = 16 * 2**20


@dataclass(frozen=True)
class DebianPackage:
    """One of Debian's packages in an image.

    Attributes:
        name: The binary package.
        version: Its version.
        architecture: Such as `amd64` or `all`.
        source: The source package, where it has another name; else the same.
    """

    name: str
    version: str
    architecture: str
    source: str


@dataclass(frozen=True)
class Facts:
    """A base image as the engine has it.

    Attributes:
        reference: Its name.
        digest: Its registry digest where it has one, else its image id.
        provides: Distributions of Python in it that a runtime layer can leave out: normalised name and version.
        debian: Its Debian packages, sorted by name; None where it has no list of them.
    """

    reference: str
    digest: str
    provides: tuple[tuple[str, str], ...] = ()
    debian: tuple[DebianPackage, ...] | None = None


def look(
    client: Any, reference: str, platform: str, python_version: str, progress: Callable[[str], None], *, pull: bool
) -> Facts | None:
    """What a base image has, without starting anything of it.

    Args:
        client: A `docker.DockerClient`.
        reference: The image's name.
        platform: What it must run on, such as `linux/arm64`.
        python_version: What its python3 must be, such as `3.11`.
        progress: Called with one line before a pull.
        pull: Fetch it where the engine does not have it.

    Returns:
        The facts, or None where the engine does not have the image and nothing was to be pulled.

    Raises:
        MissingError: It cannot be pulled, is for another platform, has another Python, or a label without sense.
    """
    import docker.errors

    if not pull:
        try:
            client.api.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return None
    record = base.require(client, reference, platform, progress)
    base.check_python(client, record, reference, python_version)
    return Facts(reference, base.digest(record), provided(record, reference), _debian(client, str(record["Id"])))


def provided(record: Mapping[str, Any], reference: str) -> tuple[tuple[str, str], ...]:
    """The distributions that an image's label says it has, sorted.

    Raises:
        MissingError: The label is not of the form ``name==version``.
    """
    from edgepack.images.wheels import normalise

    label = str(((record.get("Config") or {}).get("Labels") or {}).get(PROVIDES, ""))
    found = {}
    for word in label.split():
        match = REQUIREMENT.fullmatch(word)
        if match is None:
            raise MissingError(
                f"the base image {reference} has the label {PROVIDES}={label!r}; expected words like 'numpy==1.24.2'",
                fix="correct the label, or name another image with --base-image",
            )
        found[normalise(match["name"])] = match["version"]
    return tuple(sorted(found.items()))


def parse_status(text: str) -> tuple[DebianPackage, ...]:
    """The installed packages of a file in dpkg's format (deb-control(5)), in its order.

    Stanzas without name or version, and packages that were removed, are passed over.
    """
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z][\w-]*):[ \t]*(.*)$", stanza, re.MULTILINE))
        status = fields.get("Status", "install ok installed")
        if fields.get("Package") and fields.get("Version") and status.split()[-1:] == ["installed"]:
            source = fields.get("Source", "").split(" ")[0] or fields["Package"]
            found.append(DebianPackage(fields["Package"], fields["Version"], fields.get("Architecture", "all"), source))
    return tuple(found)


def _debian(client: Any, image: str) -> tuple[DebianPackage, ...] | None:
    """The packages of an image by its own list, from a container that is never started."""
    import docker.errors

    with looking(client, image) as container:
        for place in STATUS:
            try:
                stream, _ = client.api.get_archive(container, place)
            except docker.errors.NotFound:
                continue
            texts = [content for name, content in _files(stream) if not name.endswith(".md5sums")]
            found = {package for text in texts for package in parse_status(text)}
            return tuple(sorted(found, key=lambda package: (package.name, package.architecture)))
    return None


def _files(stream: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    """Name and text of each file of an archive that is small enough to be a list of packages."""
    content = b"".join(stream)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() and member.size <= LONGEST else None
            if file is not None:
                yield PurePosixPath(member.name).name, file.read().decode("utf-8", "replace")
