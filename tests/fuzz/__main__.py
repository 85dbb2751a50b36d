"""Which reader is fuzzed, for how long, and what came of it?

``python -m tests.fuzz READER --minutes 10`` needs Atheris (``pip install 'edgepack[fuzz]'``) and writes its result into
``benchmarks/results/fuzz.json``. What is found is left in ``out/fuzz/READER/findings``: the input, and what happened.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from . import commands, readers, seeds
from .engine import Count

RESULTS = seeds.ROOT / "benchmarks/results/fuzz.json"
LATE_S = 60
"""So long may the engine take to end behind its time."""
SAMPLED = 8
"""So many of the inputs that reached something new are given to the real command, too."""


def main() -> None:
    """Fuzz one reader, judge what ended the process, and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reader", choices=readers.names())
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--folder", type=Path, default=seeds.ROOT / "out/fuzz", help="inputs, corpus and findings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to add the result to")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    seeds.make(folder)
    shutil.rmtree(folder / asked.reader, ignore_errors=True)
    (folder / asked.reader / "native").mkdir(parents=True)
    begun = time.monotonic()
    processes, log = _fuzz(asked.reader, folder, begun + 60 * asked.minutes)
    seconds = time.monotonic() - begun
    ends = _commands(asked.reader, folder)
    found = sorted((folder / asked.reader / "findings").glob("*.json"))
    result = {
        "command": f"python -m tests.fuzz {asked.reader} --minutes {asked.minutes:g}",
        "seconds": round(seconds, 1),
        "executions": Count(folder / asked.reader / "executions").read(),
        "processes": processes,
        "corpus": len(list((folder / asked.reader / "corpus").iterdir())),
        "branches": _branches(log),
        "commands": ends,
        "findings": [json.loads(path.read_text())["key"] for path in found],
        "versions": _versions(),
    }
    _keep(asked.results, asked.reader, result)
    print(json.dumps(result, indent=1))
    sys.exit(1 if found else 0)


def _fuzz(name: str, folder: Path, until: float) -> tuple[int, Path]:
    """Start the engine until the time is over; a library that ends it is judged later."""
    log = folder / name / "log"
    processes = 0
    paths = [str(seeds.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}
    while (left := int(until - time.monotonic())) > 0:
        argv = [sys.executable, "-m", "tests.fuzz.engine", name, str(folder), str(left)]
        with (
            log.open("ab") as stream,
            subprocess.Popen(argv, env=environment, cwd=folder, stdout=stream, stderr=stream) as engine,
        ):
            try:
                code = engine.wait(left + LATE_S)
            except subprocess.TimeoutExpired:  # where libFuzzer's own alarm is not heard: in a library
                engine.kill()
                code = engine.wait()
        processes += 1
        if code == 1:
            raise RuntimeError(f"the engine itself failed; see {log}")
        if code < 0:  # killed, before libFuzzer could keep the input
            last = max((folder / name / "work").glob("input*"), key=lambda path: path.stat().st_mtime)
            shutil.copyfile(last, folder / name / "native" / f"killed-{processes}")
    return processes, log


def _branches(log: Path) -> int:
    """Branches of edgepack's own code that were reached, as libFuzzer counts them."""
    words = [
        line.split("cov: ")[1].split()[0] for line in log.read_text(errors="replace").splitlines() if "cov: " in line
    ]
    return max(map(int, words), default=0)


def _commands(name: str, folder: Path) -> dict[str, int]:
    """Give inputs to the command that reads such a file; what it makes of them, counted.

    Every input that ended a process, and some of those that reached something new.
    """
    ends = Counter[str]()
    reached = sorted((folder / name / "corpus").iterdir())
    for path in [*sorted((folder / name / "native").iterdir()), *reached[:: max(1, len(reached) // SAMPLED)]]:
        kind = path.name.split("-")[0] if path.parent.name == "native" else "reached"
        end, said = commands.run(name, path, folder)
        ends[f"{kind}: {end}"] += 1
        if not end.startswith("exit code"):
            document = {"key": f"{end} at {kind}", "part": "command", "what": said, "input": str(path)}
            (folder / name / "findings" / f"{path.name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return dict(sorted(ends.items()))


def _versions() -> dict[str, Any]:
    from edgepack.environment import describe

    return {key: value for key, value in describe().items() if value is not None}


def _keep(path: Path, name: str, result: dict[str, Any]) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(dict(sorted({**known, name: result}.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
