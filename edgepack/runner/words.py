"""Which words do programs take that measure bundles: the runner's own, and the one for phones that stands on it?"""

import argparse
from pathlib import Path
from typing import Any

from .errors import UsageError


class Parser(argparse.ArgumentParser):
    """Errors on one line, as everything else that is complained of."""

    def error(self, message: str) -> Any:
        """Raises UsageError, which says where help is."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}; expected at least 1")
    return value


def of_bundle() -> Parser:
    """Options that say which artifacts of a bundle are meant, as the parent of a verb."""
    parser = Parser(add_help=False)
    parser.add_argument("--bundle", type=Path, default=Path("/bundle"), help="folder with manifest.json (%(default)s)")
    parser.add_argument("--artifact", action="append", default=[], metavar="FILE", help="only this file; repeatable")
    parser.add_argument("--runtime", help="only this runtime")
    parser.add_argument("--threads", type=positive, help="threads of one inference (the manifest's number)")
    return parser


def of_length() -> Parser:
    """Options that say how long a measurement goes on, as the parent of a verb."""
    parser = Parser(add_help=False)
    parser.add_argument("--file", type=Path, help="a model file without a bundle; its input is noise")
    parser.add_argument("--warmup-s", type=float, default=1.0, help="seconds before samples count (%(default)s)")
    parser.add_argument("--min-runs", type=positive, default=50, help="samples at least (%(default)s)")
    parser.add_argument("--min-time-s", type=float, default=10.0, help="seconds of sampling at least (%(default)s)")
    parser.add_argument("--max-time-s", type=float, default=60.0, help="seconds of sampling at most (%(default)s)")
    parser.add_argument("--processes", type=positive, default=1, help="fresh processes for each artifact (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="mark the results as made to show that measuring works")
    return parser
