"""Which failures does the runner explain, and which exit code does each give?"""

from typing import ClassVar


class RunnerError(Exception):
    """The device, the runtime or the artifact failed while in use."""

    exit_code: ClassVar[int] = 6


class UsageError(RunnerError):
    """The words of the command, the bundle or the manifest that they name are wrong."""

    exit_code = 2
