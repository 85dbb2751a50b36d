"""Which techniques, formats, data sources ... are there? The files in their folder, and nothing else."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean


@cache
def names(package: str) -> tuple[str, ...]:
    """List the extensions of a package by folder listing; none of them is imported.

    Args:
        package: Dotted name, e.g. ``edgepack.techniques``. Files whose name starts with ``_`` are helpers.
    """
    folder = importlib.import_module(package).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """Import one extension by its file name.

    Raises:
        RecipeError: There is no such file; the nearest name is offered.
    """
    if name not in names(package):
        kind = package.rsplit(".", 1)[-1]
        raise RecipeError(
            f"unknown name {name!r} in {kind}; expected one of: {', '.join(names(package))}",
            fix=did_you_mean(name, names(package)) or f"use one of the names above, or add edgepack/{kind}/{name}.py",
        )
    return importlib.import_module(f"{package}.{name}")


def name_of(config: object) -> str:
    """The name of the extension that a configuration belongs to: that of the file in which its class stands."""
    return type(config).__module__.rsplit(".", 1)[-1]
