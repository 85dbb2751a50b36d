"""What is in an image, for those who must know: a CycloneDX bill of materials, the same bytes for the same image?"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

from edgepack.images.facts import DebianPackage, Facts

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License
    from packageurl import PackageURL

NAME = "sbom.cdx.json"
PATH = f"opt/edgepack/{NAME}"
"""Where the document lies in an image."""

DIGITS = 12
# What classifiers of Python's index mean in SPDX, for wheels without a licence expression; BSD alone says too little.
SPDX = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: zlib/libpng License": "Zlib",
}
LONGEST_NAME = 80


@dataclass(frozen=True)
class Model:
    """One artifact in the image.

    Attributes:
        name: The recipe's name and the file's, with a slash between.
        file: The file in `/bundle`.
        sha256: Its digest.
        format: Such as `tflite`.
        precision: Such as `int8`.
    """

    name: str
    file: str
    sha256: str
    format: str
    precision: str


@dataclass(frozen=True)
class Distribution:
    """One package of Python in the image.

    Attributes:
        name: Normalised distribution name.
        version: Its version.
        sha256: Digest of the wheel that it came from.
        metadata: Text of the wheel's METADATA.
    """

    name: str
    version: str
    sha256: str
    metadata: str


def document(
    models: Sequence[Model],
    distributions: Sequence[Distribution],
    *,
    title: str,
    version: str,
    platform: str,
    base_image: str,
    base: Facts | None,
    mtime_s: int,
) -> bytes:
    """The bill of materials of an image, as CycloneDX 1.6 in JSON (https://cyclonedx.org/specification/overview/).

    Args:
        models: The artifacts in the image.
        distributions: The runtime layer's packages.
        title: What the image is called in its labels.
        version: Its version, by the recipe's digest.
        platform: What the image runs on, such as `linux/amd64`.
        base_image: Reference of the base image.
        base: What is known of it; None where no engine could tell.
        mtime_s: The time in it, seconds since 1970, as all files of the image have it.
    """
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    image = Component(
        type=ComponentType.CONTAINER,
        name=title,
        version=version or None,
        bom_ref="image",
        properties=[Property(name="edgepack:platform", value=platform)],
    )
    components = [
        *(_model(item) for item in models),
        *(_distribution(item) for item in distributions),
        *_base(base_image, base),
        _own(),
    ]
    stamp = datetime.fromtimestamp(mtime_s, UTC)
    bom = Bom(metadata=BomMetaData(component=image, timestamp=stamp), components=components)
    bom.register_dependency(image, components)
    # From the content alone: a number that was drawn would make every image another one.
    bom.serial_number = uuid.UUID(int=0)
    unnumbered = JsonV1Dot6(bom).output_as_string(indent=1)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, unnumbered)
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _model(item: Model) -> "Component":
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    known = {"file": item.file, "format": item.format, "precision": item.precision}
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=item.name,
        version=item.sha256[:DIGITS],
        bom_ref=f"model/{item.file}",
        hashes=_sha256(item.sha256),
        properties=[Property(name=f"edgepack:{key}", value=value) for key, value in known.items()],
    )


def _distribution(item: Distribution) -> "Component":
    from packageurl import PackageURL

    fields = HeaderParser().parsestr(item.metadata)
    return _package(
        PackageURL(type="pypi", name=item.name, version=item.version),
        hashes=_sha256(item.sha256),
        licenses=licences(fields.items()),
        description=fields.get("Summary"),
    )


def licences(fields: Iterable[tuple[str, str]]) -> "list[License]":
    """The licences that a wheel's METADATA names.

    Args:
        fields: Its fields in their order; a name may stand there more than once.

    Returns:
        The licence expression alone where there is one; else what the classifiers mean, or a short name; or nothing.
    """
    from cyclonedx.contrib.license.factories import LicenseFactory

    pairs = list(fields)
    expressions = [value for key, value in pairs if key == "License-Expression"]
    known = sorted({SPDX[value] for key, value in pairs if key == "Classifier" and value in SPDX})
    plain = [value for key, value in pairs if key == "License" and 0 < len(value) <= LONGEST_NAME and "\n" not in value]
    factory = LicenseFactory()
    return [factory.make_from_string(name) for name in expressions[:1] or known or plain[:1]]


def _base(reference: str, base: Facts | None) -> "Iterable[Component]":
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    known = base is not None and base.debian is not None
    yield Component(
        type=ComponentType.CONTAINER,
        name=reference,
        version=base.digest if base else None,
        bom_ref="base",
        properties=[Property(name="edgepack:packages", value="listed here" if known else "not known")],
    )
    for package in (base.debian or ()) if base else ():
        yield _debian(package)


def _debian(package: DebianPackage) -> "Component":
    from packageurl import PackageURL

    qualifiers = {"arch": package.architecture, "distro": "debian"}
    if package.source != package.name:
        qualifiers["upstream"] = package.source
    return _package(PackageURL("deb", "debian", package.name, package.version, qualifiers))


def _own() -> "Component":
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    from edgepack import __version__

    return _package(
        PackageURL(type="pypi", name="edgepack", version=__version__),
        type=ComponentType.APPLICATION,
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )


def _package(purl: "PackageURL", **fields: Any) -> "Component":
    """A package that has a URL, which names it and its version."""
    from cyclonedx.model.component import Component

    return Component(name=purl.name, version=purl.version, bom_ref=purl.to_string(), purl=purl, **fields)


def _sha256(digest: str) -> list[Any]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]
