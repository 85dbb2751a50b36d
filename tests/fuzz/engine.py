"""How is one reader fuzzed in one process, until the time is over or a library ends the process?

``python -m tests.fuzz.engine READER FOLDER SECONDS``, started by `__main__` again and again. Atheris (libFuzzer) keeps
the inputs that reach a new branch of edgepack's code, and changes those.
"""

import hashlib
import json
import mmap
import os
import random
import resource
import struct
import sys
from pathlib import Path

from .judge import Finding, Writes, judge
from .readers import Reader, load

MEMORY_GIB = 6
HANGS_AFTER_S = 20
LONGEST_INPUT = 200_000
INSTRUMENTED = ["edgepack", "ruamel.yaml"]
"""Packages whose branches guide the search."""


class Count:
    """A number in a file, which stays when the process is killed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def add(self) -> None:
        """Count one more."""
        struct.pack_into("q", self._map, 0, self.read() + 1)

    def read(self) -> int:
        """The number."""
        (value,) = struct.unpack_from("q", self._map)
        return int(value)


class Session:
    """Runs inputs through one reader and keeps what is found.

    Args:
        reader: The reader.
        folder: Where everything of it is kept: ``work``, ``findings``, ``native``.
        made: What `seeds.make` left.
    """

    def __init__(self, reader: Reader, folder: Path, made: Path) -> None:
        self._reader, self._made = reader, made
        self._work, self._findings = folder / "work", folder / "findings"
        for needed in (self._work, self._findings, folder / "native"):
            needed.mkdir(parents=True, exist_ok=True)
        self.executions = Count(folder / "executions")
        self._writes = Writes(folder)

    def run(self, content: bytes) -> None:
        """Do everything with one input."""
        self.executions.add()
        for finding in self.judged(content):
            self._keep(finding, content)

    def judged(self, content: bytes) -> list[Finding]:
        """What is found in one input."""
        found: list[Finding] = []
        path = self._work / f"input{self._reader.SUFFIX}"
        path.write_bytes(content)
        for part in self._reader.parts(path, self._made, self._work):
            with self._writes.watched():
                finding = judge(part)
            if finding is not None:
                found.append(finding)
            if self._writes.seen:
                what = "\n".join(self._writes.seen)
                found.append(Finding(f"outside: {self._writes.seen[0][:80]}", part.name, what))
        return found

    def _keep(self, finding: Finding, content: bytes) -> None:
        """Keep the shortest input of each cause."""
        stem = self._findings / hashlib.sha256(finding.key.encode()).hexdigest()[:12]
        kept = stem.with_suffix(".bin")
        if kept.exists() and kept.stat().st_size <= len(content):
            return
        kept.write_bytes(content)
        document = {"key": finding.key, "part": finding.part, "what": finding.what, "input": kept.name}
        stem.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def main(name: str, folder: Path, seconds: int) -> None:
    """Fuzz one reader."""
    import atheris

    os.environ["TMPDIR"] = os.environ["MPLCONFIGDIR"] = str(folder / name / "work")
    from edgepack.tf_environment import environment

    os.environ.update(environment())
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_GIB << 30, MEMORY_GIB << 30))
    sys.setrecursionlimit(1000)
    with atheris.instrument_imports(include=INSTRUMENTED):
        reader = load(name)
        reader.prepare(folder / "seeds")
    session = Session(reader, folder / name, folder / "seeds")

    def mutate(content: bytes, max_size: int, seed: int) -> bytes:
        made = reader.mutate(content, random.Random(seed), lambda old: atheris.Mutate(old, max_size))
        return made[:max_size] if len(made) > max_size else made

    corpus = folder / name / "corpus"
    corpus.mkdir(exist_ok=True)
    for content in reader.seeds(folder / "seeds"):
        (corpus / f"seed-{hashlib.sha256(content).hexdigest()[:12]}").write_bytes(content)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={HANGS_AFTER_S}",
        f"-rss_limit_mb={MEMORY_GIB * 1024}",
        f"-max_len={LONGEST_INPUT}",
        f"-report_slow_units={HANGS_AFTER_S}",
        "-len_control=0",
        "-print_final_stats=1",
        f"-artifact_prefix={folder / name / 'native'}/",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], session.run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
