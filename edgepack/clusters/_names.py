"""How does a recipe's or a target's name become one that DNS takes?"""

import hashlib
import re

from edgepack.errors import RecipeError

LONGEST = 40
"""Of 63 characters that DNS has in a label: clusters hang ``-predictor``, hashes and numbers on it."""

LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def label(*words: str) -> str:
    """Words as a DNS label that begins with a letter (RFC 1035); what had to be cut ends in a digest of the whole."""
    whole = "-".join(words)
    plain = re.sub(r"[^a-z0-9]+", "-", whole.lower()).strip("-")
    if not plain[:1].isalpha():
        plain = f"model-{plain}".rstrip("-")
    if len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST - 9].rstrip('-')}-{digest}"


def check(name: str, option: str = "--name") -> str:
    """A name that a user gave with an option, when it is such a label.

    Raises:
        RecipeError: It is not.
    """
    if len(name) > LONGEST or not LABEL.fullmatch(name):
        raise RecipeError(
            f"{option} expected at most {LONGEST} small letters, digits and hyphens, a letter first and no hyphen "
            f"last; received {name!r}",
            fix=f"e.g. {option} {label(name)}",
        )
    return name
