"""How are a model's answers judged, task by task? One file each in this folder; the file's name is the task's name.

A task module has the constants ``METRIC`` (name of its figure of merit, which is in [0, 1] and better when higher) and
``AGREEMENT`` (what two sets of answers share, for a sentence), and the functions ``figure`` and ``agreement``.
"""

import importlib
import pkgutil
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from ..errors import UsageError


class Judge(Protocol):
    """A module of this folder."""

    METRIC: str
    AGREEMENT: str

    def figure(self, outputs: NDArray[Any], inputs: NDArray[Any], labels: NDArray[Any]) -> float:
        """The figure of merit of outputs (samples, ...) for model inputs (samples, ...) with labels (samples,)."""

    def agreement(self, reference: NDArray[Any], outputs: NDArray[Any], inputs: NDArray[Any]) -> float | None:
        """Share of samples with the same answer in both, in [0, 1]; None where outputs hold no answer to compare."""


def names() -> tuple[str, ...]:
    """The tasks, by folder listing."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Judge:
    """Import one task's module.

    Raises:
        UsageError: There is no such task.
    """
    if name not in names():
        raise UsageError(f"unknown task {name!r}; expected one of: {', '.join(names())}")
    return cast("Judge", importlib.import_module(f"{__name__}.{name}"))
