"""Which container image is meant: registry, name, tag, digest?"""

import re
from dataclasses import dataclass, replace

from edgepack.errors import RecipeError
from edgepack.images.references import DOMAIN, PATH, PORT, TAG

_HOST = rf"(?:{DOMAIN}|\[[0-9a-fA-F:]+\]){PORT}"
_REFERENCE = re.compile(rf"(?P<name>(?:{_HOST}/)?{PATH})(?::(?P<tag>{TAG}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?")
LONGEST_NAME = 255
FORM = "REGISTRY/NAME, REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST, the name in small letters"


@dataclass(frozen=True)
class Image:
    """A reference to a container image.

    Attributes:
        name: Registry and repository, e.g. ``registry.example.org:5000/edge/digits``.
        tag: The tag, or None.
        digest: ``sha256:`` and 64 hexadecimal digits, or None.
    """

    name: str
    tag: str | None
    digest: str | None

    @property
    def reference(self) -> str:
        """``name:tag@digest``, as far as they are known."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def registry(self) -> str | None:
        """The registry's host, and None where an engine would look on Docker Hub."""
        first, slash, _ = self.name.partition("/")
        return first if slash and (set(".:") & set(first) or first == "localhost") else None


def parse(text: str, *, default_tag: str) -> Image:
    """Read an image reference; one without tag and digest gets a tag.

    Raises:
        RecipeError: It is no reference.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None or len(match["name"]) > LONGEST_NAME:
        raise RecipeError(f"--image expected {FORM}; received {text!r}", fix="e.g. registry.example.org/digits:1.0")
    image = Image(match["name"], match["tag"], match["digest"])
    return image if image.tag or image.digest else replace(image, tag=default_tag)
