"""Which known name did the user probably mean?"""

import difflib
from collections.abc import Iterable


def did_you_mean(received: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest known name, or an empty string when none is near."""
    near = difflib.get_close_matches(received, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""
