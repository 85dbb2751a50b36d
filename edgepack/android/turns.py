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
def turn(serial: str, say: Callable[[str], None], *, longest_s: float = LONGEST_S) -> Iterator[None]:
    """Have a phone for oneself, as far as this user's programs on this machine are concerned.

    Args:
        serial: The phone.
        say: Called with one line when another one has it.
        longest_s: Seconds to wait at most.

    Raises:
        AndroidError: The other one did not end in time.
    """
    name = re.sub(r"[^\w.-]+", "-", serial)
    begin_s = time.monotonic()
    with (Path(tempfile.gettempdir()) / f"edgepack-phone-{os.getuid()}-{name}.lock").open("a") as file:
        waited = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() - begin_s >= longest_s:
                    raise AndroidError(
                        f"the phone {serial} was in use by another measurement for {longest_s:.0f} s",
                        fix="wait for it, or end it",
                    ) from error
                if not waited:
                    say(f"waiting for another measurement on {serial}")
                waited = True
                time.sleep(STEP_S)
        yield
