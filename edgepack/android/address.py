"""Which phone does ``adb://SERIAL?delegate=gpu`` name, and how is it to be measured?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from .errors import WordsError

DELEGATES = ("cpu", "gpu", "nnapi", "npu")
SERIAL = re.compile(r"[\w.:\[\]-]+")
CORES = re.compile(r"all|big|\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*")
SHA256 = re.compile(r"[0-9a-f]{64}")
OPTIONS = ("delegate", "accelerator", "cores", "benchmark_model", "sha256")
IDENTITY = ("delegate", "accelerator", "cores")
"""Options that make results of one phone those of another device; where this machine has the program does not."""
DEFAULT_PROGRAM = "~/.local/share/edgepack/android/benchmark_model"


@dataclass(frozen=True)
class Settings:
    """How a phone is measured: what a target's ``android`` says, and the address's options over it.

    Attributes:
        benchmark_model: LiteRT's program for the phone's own processor, on this machine; ``~`` is the home folder.
        sha256: Its digest; None = it is taken as it is, and the digest of what was used is in the result.
        delegate: ``cpu`` (XNNPACK), ``gpu``, ``nnapi``, or ``npu`` (an accelerator of LiteRT 2).
        accelerator: NNAPI's name of the device that it is to use; None = its own choice.
        libraries: Shared objects that the program loads, such as a GPU accelerator of LiteRT 2.
        cores: ``big`` (those with the highest frequency), ``all``, or a list such as ``4-7``.
        arguments: More options for the program.
    """

    benchmark_model: str = DEFAULT_PROGRAM
    sha256: str | None = None
    delegate: str = "cpu"
    accelerator: str | None = None
    libraries: tuple[str, ...] = ()
    cores: str = "big"
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises WordsError when a value is not one of those above."""
        if self.delegate not in DELEGATES:
            raise WordsError(f"delegate={self.delegate!r} is not known", fix=f"use one of: {', '.join(DELEGATES)}")
        if not CORES.fullmatch(self.cores):
            raise WordsError(f"cores={self.cores!r} is not known", fix="use big, all, or a list such as 4-7 or 4,5")
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise WordsError(f"sha256={self.sha256!r} is no digest", fix="give the 64 digits that sha256sum prints")
        if self.accelerator is not None and self.delegate != "nnapi":
            raise WordsError(
                f"accelerator={self.accelerator!r} is for NNAPI, and the delegate is {self.delegate}",
                fix="add delegate=nnapi, or leave it out",
            )

    @property
    def program(self) -> Path:
        """Where `benchmark_model` is on this machine."""
        return Path(self.benchmark_model).expanduser()


def settings(of_target: Mapping[str, Any] | None, options: Mapping[str, str]) -> Settings:
    """The settings of a target, as a bundle's manifest has them, with an address's options in their place.

    Raises:
        WordsError: One of them is not valid.
    """
    told = {key: value for key, value in (of_target or {}).items() if key in Settings.__dataclass_fields__}
    for key in ("libraries", "arguments"):
        told[key] = tuple(told.get(key) or ())
    try:
        found = Settings(**{key: value for key, value in told.items() if value is not None})
        return replace(found, **_changed(found, options))
    except TypeError as error:
        raise WordsError(f"the target's android section is not valid ({error})", fix="make the bundle again") from error


def _changed(found: Settings, options: Mapping[str, str]) -> dict[str, Any]:
    """The options, without what another choice makes senseless."""
    changed: dict[str, Any] = dict(options)
    if options.get("delegate", found.delegate) != "nnapi" and "accelerator" not in options:
        changed["accelerator"] = None
    if "benchmark_model" in options and "sha256" not in options:
        changed["sha256"] = None
    return changed


def parse(address: str) -> tuple[str | None, dict[str, str]]:
    """The serial number, or ``host:port`` of a phone that listens there, and the options behind the ``?``.

    Args:
        address: What follows ``adb:`` or ``adb://``; empty for the only phone that there is.

    Raises:
        WordsError: It is not of that form, or an option is not known.
    """
    serial, _, query = address.removeprefix("//").partition("?")
    if serial and not SERIAL.fullmatch(serial):
        raise WordsError(f"{serial!r} is no phone's serial number", fix="`adb devices` lists them")
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise WordsError(f"?{query} cannot be read", fix="write options as ?delegate=gpu&cores=4-7") from error
    for key in options:
        if key not in OPTIONS:
            raise WordsError(f"the option {key!r} is not known", fix=f"use one of: {', '.join(OPTIONS)}")
    return serial or None, options


def identity(serial: str, options: Mapping[str, str]) -> str:
    """The address by which results of a phone are known."""
    told = "&".join(f"{key}={options[key]}" for key in IDENTITY if key in options)
    return f"adb://{serial}" + (f"?{told}" if told else "")
