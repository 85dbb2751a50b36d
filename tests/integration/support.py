"""How do the integration tests start edgepack and read what it left?"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits" / "recipe.yaml"
TIMEOUT_S = 600


@dataclass(frozen=True)
class Finished:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


Edgepack = Callable[..., Finished]


def command(*words: str | Path) -> list[str]:
    """The words that start the command line of this checkout."""
    return [sys.executable, "-m", "edgepack.cli.main", *map(str, words)]


def read_json(path: Path) -> Any:
    """A JSON file's content."""
    return json.loads(path.read_text())


def digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """sha256 of some files of a folder."""
    from edgepack.store import file_digest

    return {name: file_digest(folder / name) for name in names}
