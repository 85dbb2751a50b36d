"""How is one artifact or one bundle measured on request, apart from a run?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgepack import bundle, images_of_bundles, latency
from edgepack.errors import MissingError, RecipeError
from edgepack.protocol import Protocol
from edgepack.transports import connect, quiet


def measure(
    what: Path,
    *,
    on: str,
    protocol: Protocol,
    runtime: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = quiet,
) -> dict[str, Any]:
    """Measure a bundle or a bare file; nothing is written.

    Args:
        what: A bundle's folder, or a ``.tflite`` / ``.onnx`` file (which gets seeded noise as input).
        on: ``local``, ``docker`` (the image of the bundle), ``docker:IMAGE`` (an image that edgepack built) or
            another device's address, as ``ssh://pi@board``.
        protocol: How long.
        runtime: Only this runtime.
        threads: Inference threads; None for the bundle's own, or 1.
        say: Called with one line before something that takes a while.

    Returns:
        The runner's document, schema ``edgepack.latency/1``.

    Raises:
        MissingError: There is no such file, bundle or image.
        RecipeError: The words do not fit together.
        DeviceError: The measurement failed.
    """
    if not what.exists():
        raise MissingError(f"there is nothing at {what}", fix="give a .tflite or .onnx file, or a bundle's folder")
    if what.is_dir():
        bundle.require(what)
    place: Path | None = what
    if on == "docker":
        if what.is_file():
            raise RecipeError(
                f"--on docker needs a bundle or an image for the file {what}",
                fix="give the bundle's folder, or --on docker:IMAGE",
            )
        on, place = f"docker:{images_of_bundles.image_of(what)}", None
    with connect(on, say=say) as device:
        document, _ = latency.bench(device, place, protocol=protocol, runtime=runtime, threads=threads)
    return document
