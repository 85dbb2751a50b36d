"""Which readers are fuzzed? One file each in this folder; the file's name is the reader's name.

A reader module has

- ``SUFFIX``: how its files' names end;
- ``prepare(made)``: imports what reading needs, once;
- ``seeds(made)``: real files to begin with, of what `seeds.make` left;
- ``mutate(content, rng, flip)``: a changed file; ``flip`` changes bytes anywhere;
- ``parts(path, made, work)``: what edgepack does with such a file, each part on its own;
- ``command(path, made, work)``: the words of the `edgepack` command that reads it.
"""

import importlib
import pkgutil
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

Flip = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Part:
    """One thing that edgepack does with a file.

    Attributes:
        name: What it is.
        run: Does it.
        explained: True where the product turns whatever a runtime raises into one sentence; what edgepack's own code
            raises must still be one of its own errors.
    """

    name: str
    run: Callable[[], object]
    explained: bool = False


class Reader(Protocol):
    """A module of this folder."""

    SUFFIX: str

    def prepare(self, made: Path) -> None:
        """Import what reading needs."""

    def seeds(self, made: Path) -> list[bytes]:
        """Real files."""

    def mutate(self, content: bytes, rng: random.Random, flip: Flip) -> bytes:
        """A changed file."""

    def parts(self, path: Path, made: Path, work: Path) -> Iterator[Part]:
        """What is done with a file."""

    def command(self, path: Path, made: Path, work: Path) -> list[str]:
        """The words of a command that reads a file."""


def names() -> tuple[str, ...]:
    """The readers, by folder listing."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Reader:
    """Import one reader."""
    return cast("Reader", importlib.import_module(f"{__name__}.{name}"))
