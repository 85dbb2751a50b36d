"""How is one artifact or one bundle measured on request, apart from a run, on one device or on several at once?"""

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack import bundle, images_of_bundles, latency
from edgepack.errors import EdgepackError, MissingError, RecipeError
from edgepack.protocol import Protocol
from edgepack.store import write_json
from edgepack.transports import Transport, connect, quiet

DEVICES = "devices"
"""Folder of a bundle with what devices measured."""


@dataclass
class Outcome:
    """What came of one device: a document, or the reason why there is none."""

    address: str
    document: dict[str, Any] | None = None
    error: EdgepackError | None = None


def measure(
    what: Path,
    *,
    on: str,
    protocol: Protocol,
    runtime: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = quiet,
    opened: Callable[[Transport], object] | None = None,
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
        opened: Called with the open transport.

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
        if opened is not None:
            opened(device)
        document, _ = latency.bench(device, place, protocol=protocol, runtime=runtime, threads=threads)
    return document


def measure_on_all(
    what: Path,
    *,
    on: Sequence[str],
    protocol: Protocol,
    runtime: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = quiet,
) -> list[Outcome]:
    """Measure on several devices at the same time; one that fails takes no other one with it.

    Args:
        what: As for `measure`.
        on: The devices; each is measured once.
        protocol: As for `measure`.
        runtime: As for `measure`.
        threads: As for `measure`.
        say: Called with one line, which begins with the device.

    Returns:
        One outcome for each device, in their order.

    Raises:
        RecipeError: A device is named twice.
    """
    for address in on:
        if list(on).count(address) > 1:
            raise RecipeError(f"--on {address} was given twice", fix="name each device once: it measures one at a time")
    outcomes = [Outcome(address) for address in on]
    devices: list[Transport] = []
    bugs: list[BaseException] = []

    def work(outcome: Outcome) -> None:
        def tell(text: str) -> None:
            say(f"{outcome.address}: {text}")

        try:
            outcome.document = measure(
                what,
                on=outcome.address,
                protocol=protocol,
                runtime=runtime,
                threads=threads,
                say=tell,
                opened=devices.append,
            )
        except EdgepackError as error:
            outcome.error = error
        except BaseException as error:
            bugs.append(error)

    workers = [threading.Thread(target=work, args=(outcome,)) for outcome in outcomes]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        for device in devices:  # what runs there ends with its connection
            with suppress(Exception):
                device.close()
        raise
    if bugs:
        raise bugs[0]
    return outcomes


def keep(folder: Path, document: dict[str, Any]) -> Path:
    """Put what a device measured beside a bundle's files, where the report looks for it.

    Args:
        folder: The bundle.
        document: A document of `measure`; an older one of the same device is replaced.

    Returns:
        The file, ``devices/<name>.json``.

    Raises:
        RecipeError: It is no bundle, but a file.
    """
    if not folder.is_dir():
        raise RecipeError(f"--keep needs a bundle, but {folder} is a file", fix="name the bundle's folder")
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", str(document["device"]["name"])).strip("-.") or "device"
    path = folder / DEVICES / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    write_json(path, document)
    return path
