"""How do measurements of one phone wait for each other, when several programs of this machine start them?"""

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import AndroidError

LONGEST_S = 1800.0
STEP_S = 0.2


@contextmanager
def turn(what: str, say: Callable[[str], None] | None = None, *, longest_s: float = LONGEST_S) -> Iterator[None]:
    """Have something for oneself, as far as this user's programs on this machine are concerned.

    Args:
        what: Such as ``the phone R58M``.
        say: Called with one line when another one has it.
        longest_s: Seconds to wait at most.

    Raises:
        AndroidError: The other one did not end in time.
    """
    name = re.sub(r"[^\w.-]+", "-", what)
    begin_s = time.monotonic()
    with (Path(tempfile.gettempdir()) / f"edgepack-{os.getuid()}-{name}.lock").open("a") as file:
        waited = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() - begin_s >= longest_s:
                    raise AndroidError(
                        f"{what} was in use by another measurement for {longest_s:.0f} s",
                        fix="wait for it, or end it",
                    ) from error
                if say is not None and not waited:
                    say(f"waiting for another measurement, which has {what}")
                waited = True
                time.sleep(STEP_S)
        yield
