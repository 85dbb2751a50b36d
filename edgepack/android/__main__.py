"""What does `python3 -m edgepack.android` do? Measure a bundle on a phone; anything else is left to the runner."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgepack.runner import __main__ as runner
from edgepack.runner.errors import RunnerError, UsageError
from edgepack.runner.words import Parser, of_bundle, of_length

from . import address, measure, subjects
from .adb import Adb

PROGRAM = "/benchmark_model"
"""Where the image of a mobile target expects the program for the phone, unless an option or the address says else."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: The words after the program's name; None for the process's own.

    Returns:
        0, or 2 for wrong usage, 3 when something is missing, 6 when a file could not be measured or the phone cannot be
        used. The document is printed on standard output; one line on standard error says what is wrong.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    # Without a phone these are words for the runner, which measures and verifies on this machine.
    if not any(word == "--on" or word.startswith("--on=") for word in given) and given not in (["-h"], ["--help"]):
        return runner.main(given)
    try:
        document = _bench(_parser().parse_args(given))
    except RunnerError as error:
        print(f"phone: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    json.dump(document, sys.stdout, allow_nan=False)
    print()
    wrong = [result for result in document["results"] if result["status"] == "error"]
    for result in wrong:
        print(f"phone: {result['artifact']}: {' '.join(result['reason'].split())}", file=sys.stderr)
    return runner.EXIT_DEVICE if wrong else 0


def _bench(args: argparse.Namespace) -> dict[str, Any]:
    transport, _, rest = args.on.partition(":")
    if transport != "adb":
        raise UsageError(f"--on {args.on} is not a phone; expected adb: or adb://SERIAL")
    serial, options = address.parse(rest)
    what = args.bundle if args.file is None else args.file
    found = subjects.subjects(what, artifacts=args.artifact, runtime=args.runtime, threads=args.threads)
    settings = address.settings(subjects.of_target(what), options)
    if "benchmark_model" not in options:
        settings = replace(settings, benchmark_model=args.benchmark_model)
    protocol = measure.Protocol(
        args.warmup_s,
        args.min_runs,
        args.min_time_s,
        args.max_time_s,
        quick=args.quick,
        processes=args.processes,
    )
    adb = Adb(serial)
    say = _quiet if args.quiet else _say
    return measure.bench(adb, found, settings, protocol, address=address.identity(adb.serial, options), say=say)


def _say(text: str) -> None:
    print(f"phone: {text}", file=sys.stderr, flush=True)


def _quiet(text: str) -> None:
    """Nobody wants to hear it."""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="phone",
        description="Measure a bundle on a phone through adb, and print one JSON document. Without --on the words are "
        "the runner's, which works on this machine.",
    )
    verbs = parser.add_subparsers(dest="name", parser_class=Parser, required=True)
    bench = verbs.add_parser("bench", parents=[of_bundle(), of_length()], help="measure latency")
    bench.add_argument("--on", required=True, metavar="adb:[//SERIAL][?OPTIONS]", help="the phone, and how it measures")
    bench.add_argument("--benchmark-model", default=PROGRAM, metavar="FILE", help="LiteRT's program (%(default)s)")
    bench.add_argument("--quiet", action="store_true", help="say nothing on standard error but what is wrong")
    return parser


if __name__ == "__main__":
    sys.exit(main())
