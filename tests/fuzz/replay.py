"""Do the readers hold against a fixed list of changed files? Without Atheris, for continuous integration.

``python -m tests.fuzz.replay READER FOLDER FIRST COUNT`` prints what it finds as JSON. The number of the input that it
works on is in ``FOLDER/READER/number``, and the input in ``FOLDER/READER/given``, should a library end the process.
"""

import json
import os
import random
import sys
from pathlib import Path

from . import readers
from .engine import Session
from .mutations import flip


def main(name: str, folder: Path, first: int, count: int) -> None:
    """Go through the inputs from the first number to the last."""
    from edgepack.tf_environment import environment

    os.environ.update(environment())
    os.environ["TMPDIR"] = os.environ["MPLCONFIGDIR"] = str(folder / name / "work")
    reader = readers.load(name)
    session = Session(reader, folder / name, folder / "seeds")
    reader.prepare(folder / "seeds")
    begun = reader.seeds(folder / "seeds")
    for number in range(first, count):
        rng = random.Random(number)
        content = begun[number % len(begun)]
        if number >= len(begun):  # the first ones are the files as they were made
            content = reader.mutate(content, rng, lambda old, rng=rng: flip(old, rng))
        (folder / name / "given").write_bytes(content)
        (folder / name / "number").write_text(str(number))
        session.run(content)
    print(json.dumps([json.loads(path.read_text()) for path in sorted((folder / name / "findings").glob("*.json"))]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
