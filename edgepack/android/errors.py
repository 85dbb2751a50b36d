"""Which failures of a phone are explained, and which exit code does each give?"""

from typing import ClassVar

from edgepack.runner.errors import RunnerError


class AndroidError(RunnerError):
    """The phone, its connection or the program on it failed while in use.

    Args:
        message: What was received and what was expected.
        fix: What the user can do about it.
    """

    exit_code: ClassVar[int] = 6

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(f"{message}; {fix}")
        self.message = message
        self.fix = fix


class AbsentError(AndroidError):
    """Something needed is not there: adb, benchmark_model, room on the phone."""

    exit_code: ClassVar[int] = 3


class WordsError(AndroidError):
    """The address, an option or the file that they name is wrong."""

    exit_code: ClassVar[int] = 2


class ProgramError(AndroidError):
    """benchmark_model failed on one file; the phone is as it was, and the next file can be measured."""
