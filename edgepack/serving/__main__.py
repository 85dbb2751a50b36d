"""What does an image do with its words? It serves, says how the server is, or does what the runner does."""

import sys
from collections.abc import Sequence

from ..runner import __main__ as runner
from ..runner.errors import RunnerError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb: ``serve``, ``health``, or one of the runner's.

    Args:
        argv: The words after the program's name; None for the process's own.

    Returns:
        The runner's exit codes; ``serve`` ends with 0 after a signal, ``health`` with 1 for a server that is not ready.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in ("serve", "health"):
        return runner.main(words)
    try:
        if words[0] == "health":
            from . import health

            return health.main()
        from . import options

        chosen = options.parse(words[1:])
        return _serve(chosen)
    except RunnerError as error:
        print(f"{words[0]}: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


def _serve(chosen: "object") -> int:
    from .options import Options

    assert isinstance(chosen, Options)
    try:
        from .server import serve
    except ImportError as error:
        raise UsageError(f"this image cannot serve: the package {error.name} is not in it; make it again") from error
    return serve(chosen)


if __name__ == "__main__":
    sys.exit(main())
