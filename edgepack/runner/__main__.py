"""What does `python3 -m edgepack.runner` do? Measure, compare, verify or ask models, and print JSON."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import RunnerError
from .words import Parser, of_bundle, of_length, positive

EXIT_FAILED_VERIFICATION = 5
EXIT_DEVICE = 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: The words after the program's name; None for the process's own.

    Returns:
        0, or 2 for wrong usage, 5 for a failed verification, 6 when an artifact could not be run. The
        document is printed on standard output in all cases but wrong usage; one line on standard error says
        what is wrong.
    """
    try:
        args = _parser().parse_args(words(sys.argv[1:] if argv is None else argv))
        document, exit_code, complaint = args.verb(args)
    except RunnerError as error:
        print(f"runner: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    json.dump(document, sys.stdout, allow_nan=False)
    print()
    if complaint:
        print(f"runner: {complaint}", file=sys.stderr)
    return int(exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="runner", description="Measure or verify the artifacts of a bundle; prints one JSON document.")
    shared = of_bundle()
    verbs = parser.add_subparsers(dest="name", parser_class=Parser)
    bench = verbs.add_parser("bench", parents=[shared, of_length()], help="measure latency; the default")
    bench.add_argument("--start-timeout-s", type=float, default=120.0, help="seconds to load at most (%(default)s)")
    bench.set_defaults(verb=_bench)
    compare = verbs.add_parser("compare", help="which of two models is faster, by how much?")
    for side in "ab":
        compare.add_argument(f"--{side}", type=Path, required=True, help="a model file, or a bundle's folder")
        compare.add_argument(f"--{side}-artifact", metavar="FILE", help="which file of the bundle")
        compare.add_argument(f"--{side}-runtime", help="the runtime; default: the first that fits")
    compare.add_argument("--threads", type=positive, help="threads of one inference (the manifest's number, or 1)")
    compare.add_argument("--rounds", type=positive, default=10, help="pairs of fresh processes at least (%(default)s)")
    compare.add_argument("--max-rounds", type=positive, default=40, help="pairs of them at most (%(default)s)")
    compare.add_argument("--within", type=float, default=0.04, help="an interval that will do (%(default)s each way)")
    compare.add_argument("--turns", type=positive, default=24, help="turns of each process in a round (%(default)s)")
    compare.add_argument("--turn-s", type=float, default=0.01, help="seconds of a turn (%(default)s)")
    compare.add_argument("--round-s", type=float, default=5.0, help="seconds of turns in a round (%(default)s)")
    compare.add_argument("--warmup-s", type=float, default=0.2, help="seconds before the first turn (%(default)s)")
    compare.add_argument("--start-timeout-s", type=float, default=120.0, help="seconds to load at most (%(default)s)")
    compare.add_argument("--quick", action="store_true", help="mark the result as made to show that comparing works")
    compare.set_defaults(verb=_compare)
    verify = verbs.add_parser("verify", parents=[shared], help="compare with the golden samples")
    verify.add_argument("--timeout-s", type=float, default=600.0, help="seconds for each artifact (%(default)s)")
    verify.set_defaults(verb=_verify)
    predict = verbs.add_parser("predict", parents=[shared], help="answer rows of a table, for a model of raw columns")
    predict.add_argument("--csv", type=Path, required=True, help="rows to answer, the columns' names in the first line")
    predict.set_defaults(verb=_predict)
    return parser


def _entries(args: argparse.Namespace) -> Any:
    from . import bundle

    return bundle.read(args.bundle, artifacts=args.artifact, runtime=args.runtime, threads=args.threads)


def _bench(args: argparse.Namespace) -> tuple[dict[str, Any], int, str | None]:
    from . import bundle, measure
    from .sampling import Protocol

    protocol = Protocol(
        warmup_s=args.warmup_s,
        min_runs=args.min_runs,
        min_time_s=args.min_time_s,
        max_time_s=args.max_time_s,
        start_timeout_s=args.start_timeout_s,
        quick=args.quick,
        processes=args.processes,
    )
    if args.file is not None:
        entries = [bundle.bare(args.file, runtime=args.runtime, threads=args.threads)]
    else:
        entries = _entries(args)
    document = measure.bench(entries, protocol)
    errors = [result for result in document["results"] if result["status"] == "error"]
    return document, EXIT_DEVICE if errors else 0, _complaint(errors)


def _compare(args: argparse.Namespace) -> tuple[dict[str, Any], int, str | None]:
    from . import bundle, compare

    rounds = compare.Rounds(
        rounds=args.rounds,
        max_rounds=args.max_rounds,
        within=args.within,
        warmup_s=args.warmup_s,
        turn_s=args.turn_s,
        turns=args.turns,
        round_s=args.round_s,
        start_timeout_s=args.start_timeout_s,
        quick=args.quick,
    )
    sides = [(args.a, args.a_artifact, args.a_runtime), (args.b, args.b_artifact, args.b_runtime)]
    entries = [bundle.one(path, artifact=name, runtime=runtime, threads=args.threads) for path, name, runtime in sides]
    return compare.compare(entries[0], entries[1], rounds), 0, None


def _verify(args: argparse.Namespace) -> tuple[dict[str, Any], int, str | None]:
    from . import verify

    document = verify.verify(_entries(args), timeout_s=args.timeout_s)
    failed = [result for result in document["results"] if result["status"] == "failed"]
    errors = [result for result in document["results"] if result["status"] == "error"]
    exit_code = EXIT_FAILED_VERIFICATION if failed else EXIT_DEVICE if errors else 0
    return document, exit_code, _complaint(failed + errors)


def _predict(args: argparse.Namespace) -> tuple[dict[str, Any], int, str | None]:
    from . import predict

    return predict.predict(_entries(args), args.bundle, args.csv), 0, None


def _complaint(results: Sequence[dict[str, Any]]) -> str | None:
    if not results:
        return None
    return "; ".join(f"{r['artifact']} with {r['runtime']}: {' '.join(r['reason'].split())}" for r in results)


def words(given: Sequence[str]) -> list[str]:
    """The command's words, with the verb that is meant when there is none: options alone are bench's."""
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        return ["bench", *given]
    return list(given)


if __name__ == "__main__":
    sys.exit(main())
