"""Who may ask? Whoever sends one of the tokens that a file holds."""

import hmac
from collections.abc import Sequence
from pathlib import Path

from ..runner.errors import UsageError

SHORTEST = 16


def read_tokens(path: Path) -> tuple[bytes, ...]:
    """The tokens of a file, one a line; empty lines and those that begin with # are left out.

    Several tokens let one be replaced by another without a moment in which none is right.

    Raises:
        UsageError: The file cannot be read, or holds none, or a token is too short to be a secret.
    """
    try:
        lines = [line.strip() for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise UsageError(f"--token-file {path} cannot be read: {error.strerror}") from error
    tokens = tuple(line for line in lines if line and not line.startswith(b"#"))
    if not tokens or min(map(len, tokens)) < SHORTEST:
        raise UsageError(
            f"--token-file {path} holds {len(tokens)} tokens; expected at least one, "
            f"each of {SHORTEST} characters or more"
        )
    return tokens


def allowed(header: bytes | None, tokens: Sequence[bytes]) -> bool:
    """Whether a header ``Authorization`` carries one of the tokens; each comparison takes the same time."""
    scheme, _, given = (header or b"").partition(b" ")
    fits = [hmac.compare_digest(given.strip(), token) for token in tokens]
    return scheme.lower() == b"bearer" and any(fits)
