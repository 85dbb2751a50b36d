"""Where are the folders of data that edgepack ships, Dockerfiles and targets, and of what it keeps between runs?"""

import os
from pathlib import Path

from edgepack.errors import MissingError

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Find a folder of shipped data, in an installed package or in a source checkout.

    Args:
        name: The folder's name at the top of the source tree, such as `containers` or `targets`.

    Raises:
        MissingError: The installation does not hold this folder.
    """
    candidates = (PACKAGE / "_data" / name, PACKAGE.parent / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise MissingError(
        f"the folder {name!r} is not part of this installation; "
        f"looked for {' and '.join(str(candidate) for candidate in candidates)}",
        fix="install edgepack again, from a wheel or from a complete checkout",
    )


def kept(name: str) -> Path:
    """A folder, which need not exist, of what is kept between runs: ``$XDG_CACHE_HOME/edgepack/NAME``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "edgepack" / name
