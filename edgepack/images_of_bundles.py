"""What can be asked of an image that was built of a bundle: its name, its models, its bytes, a place in a registry?"""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack import bundle, imaging
from edgepack.errors import MissingError

if TYPE_CHECKING:
    from edgepack.images.contents import Contents


def push(folder: Path, reference: str, *, progress: imaging.Progress) -> dict[str, Any]:
    """Push the image that was built of a bundle; its reference and digest are noted in ``image/image.json``.

    Args:
        folder: The bundle.
        reference: ``REGISTRY/NAME`` or ``REGISTRY/NAME:TAG``.
        progress: Called with events.

    Raises:
        RecipeError: The reference is none.
        MissingError: No image was built, no engine answers, or the registry wants other credentials.
        DeviceError: The registry or the engine failed.
    """
    from edgepack.images import engine, registry

    name = registry.parse(reference, bundle.read_manifest(folder)["target"])
    image_of(folder)
    document = imaging.read(folder) or {}
    with closing(engine.connect()) as client:
        pushed = registry.push(client, document["id"], name, lambda text: progress({"label": "image", "text": text}))
    document["pushed"] = asdict(pushed)
    imaging.write(folder, document)
    return document


def inspect(what: str) -> "Contents":
    """Where the bytes of an image go.

    Args:
        what: The image's name or id, or the folder of a bundle whose image was built.

    Raises:
        MissingError: There is no such image, the bundle has none, or no engine answers.
    """
    from edgepack.images import contents, engine

    if bundle.is_bundle(Path(what)):
        what = image_of(Path(what))
    with closing(engine.connect()) as client, engine.failures("while it was looked through"):
        return contents.of_image(client, what)


def image_of(folder: Path) -> str:
    """The tag of the image that was built of a bundle.

    Raises:
        MissingError: None was built.
    """
    built = imaging.read(folder) or {}
    if built.get("status") != "built" or not isinstance(built.get("tag"), str):
        raise MissingError(
            f"{folder} has no image: {built.get('reason') or 'none was built'}",
            fix=f"edgepack image {folder}",
        )
    return str(built["tag"])


def models_in(image: str) -> set[str]:
    """The sha256 of the artifacts in an image, by its label; empty for an image that edgepack did not build.

    Raises:
        MissingError: No engine answers, or it has no such image.
    """
    from edgepack.images import base, engine

    with closing(engine.connect()) as client, engine.failures("while it was asked for an image"):
        record = base.inspect(client, image)
    label = ((record.get("Config") or {}).get("Labels") or {}).get(imaging.MODELS_LABEL, "")
    return set(filter(None, label.split(",")))
