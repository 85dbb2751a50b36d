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
    if words[:1] in (["-h"], ["--help"]):
        print("serve [options]: answer requests over HTTP, see `serve --help`; else one of these verbs:\n")
    if not words or words[0] not in ("serve", "health"):
        return runner.main(words)
    try:
        if words[0] == "health":
            from . import health

            return health.main()
        from .options import parse

        options = parse(words[1:])
        try:
            from .server import serve
        except ImportError as error:
            raise UsageError(f"nothing can be served: the package {error.name} is not installed") from error
        return serve(options)
    except RunnerError as error:
        print(f"{words[0]}: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
