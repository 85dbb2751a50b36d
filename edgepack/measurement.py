"""How is one artifact or one bundle measured on request, apart from a run?"""

from pathlib import Path
from typing import Any

from edgepack import bundle, images_of_bundles, latency
from edgepack.errors import MissingError, RecipeError
from edgepack.protocol import Protocol
from edgepack.recipe import Bench
from edgepack.transports import connect


def measure(what: Path, *, on: str, runtime: str | None, threads: int | None) -> dict[str, Any]:
    """Measure a bundle or a bare file; nothing is written.

    Args:
        what: A bundle's folder, or a ``.tflite`` / ``.onnx`` file (which gets seeded noise as input).
        on: ``local``, ``docker`` (the image of the bundle) or ``docker:IMAGE`` (an image that edgepack built).
        runtime: Only this runtime.
        threads: Inference threads; None for the bundle's own, or 1.

    Returns:
        The runner's document, schema ``edgepack.latency/1``.

    Raises:
        MissingError: There is no such file, bundle or image.
        RecipeError: The words do not fit together.
        DeviceError: The measurement failed.
    """
    if not what.exists():
        raise MissingError(f"there is nothing at {what}", fix="give a .tflite or .onnx file, or a bundle's folder")
    protocol = Protocol.of(Bench(), quick=False)
    words = latency.bench_words(protocol, (), runtime=runtime, threads=threads)
    if on == "local":
        argument = ["--file", str(what.resolve())] if what.is_file() else ["--bundle", str(_bundle(what).resolve())]
        with connect("local") as device:
            document, code = latency.run_runner(
                device,
                [*latency.host_runner(), *words, *argument],
                timeout_s=latency.timeout_s(protocol, 8),
                env=latency.host_environment(),
            )
    else:
        document, code = _elsewhere(what, on, words, protocol)
    if code == RecipeError.exit_code:
        raise RecipeError(f"the runner refused: {document}", fix="check the file and --runtime")
    return document


def _elsewhere(what: Path, on: str, words: list[str], protocol: Protocol) -> tuple[dict[str, Any], int]:
    name, _, image = on.partition(":")
    if what.is_file() and not image:
        raise RecipeError(
            f"--on {on} needs a bundle or an image for the file {what}",
            fix="give the bundle's folder, or --on docker:IMAGE",
        )
    limit_s = latency.timeout_s(protocol, 8)
    if what.is_file():
        from pathlib import PurePosixPath

        with connect(on) as device:
            device.push(what, PurePosixPath("/measured") / what.name)
            return latency.run_runner(device, [*words, "--file", f"/measured/{what.name}"], timeout_s=limit_s)
    folder = _bundle(what)
    if name == "docker" and not image:
        on = f"docker:{images_of_bundles.image_of(folder)}"
    with connect(on) as device:
        return latency.run_runner(device, words, timeout_s=limit_s)


def _bundle(path: Path) -> Path:
    return bundle.require(path)
