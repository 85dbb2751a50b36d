"""Which classes of failure does edgepack know, and which exit code does each give?"""

from typing import ClassVar


class EdgepackError(Exception):
    """Root of every failure that edgepack explains to its user.

    Args:
        message: What was received and what was expected, one sentence or more.
        fix: What the user can do about it; printed on a line of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  fix: {self.fix}" if self.fix else self.message


class BugError(EdgepackError):
    """Something that should not happen; shown with a traceback."""

    exit_code = 1


class RecipeError(EdgepackError):
    """The recipe, the target, the command's words or the data they name are wrong."""

    exit_code = 2


class MissingError(EdgepackError):
    """Something needed is not there: a file, a package, an engine, disk space."""

    exit_code = 3


class ConversionError(EdgepackError):
    """A model could not be turned into the requested format or precision."""

    exit_code = 4


class VerificationError(EdgepackError):
    """An artifact differs from the model it came from, or misses a quality gate."""

    exit_code = 5


class DeviceError(EdgepackError):
    """A device or a container engine failed while it was in use."""

    exit_code = 6


class BudgetError(EdgepackError):
    """A size or latency budget was missed."""

    exit_code = 7


CLASSES: dict[str, type[EdgepackError]] = {
    cls.__name__: cls
    for cls in (
        BugError,
        RecipeError,
        MissingError,
        ConversionError,
        VerificationError,
        DeviceError,
        BudgetError,
    )
}
