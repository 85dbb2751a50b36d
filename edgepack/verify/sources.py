"""What is each artifact held against: the Keras model that it came from, or a float32 file that came with it?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgepack.runner.sessions import for_file, load
from edgepack.verify.runs import Outputs, Ran, run_file

ADOPTED = "adopted.json"
NO_BASELINE = "there is no float32 file among model.artifacts to compare with"


@dataclass(frozen=True)
class Source:
    """What an artifact is held against: its name, and its outputs (samples, ...)."""

    name: str
    outputs: Outputs


@dataclass(frozen=True)
class Sources:
    """What the artifacts of a run are held against.

    Attributes:
        made_here: The artifacts were made from Keras models, and those of a precision from each other. Of finished
            files nobody knows that.
        keras: Outputs of Keras' models: ``float``, and ``quantised`` where a step quantised.
        baseline: What accuracy is lost against; None where there is no such thing.
        ran: The baseline as a run of a file, if it is one.
        reason: Why there is no baseline; None where there is one.
    """

    made_here: bool
    keras: dict[str, Outputs] = field(default_factory=dict)
    baseline: Source | None = None
    ran: Ran | None = None
    reason: str | None = None

    def of(self, file: str) -> Source | None:
        """What one artifact is held against; None where there is nothing."""
        if not self.made_here:
            return self.baseline
        name = "quantised" if ".int8." in file and "quantised" in self.keras else "float"
        return Source(name, self.keras[name])


def find(exported: Path, runtimes: Sequence[str], x: Outputs, threads: int) -> Sources:
    """Read what the export left of Keras' outputs, or run the first float32 file of finished ones.

    Args:
        exported: Where the artifacts are.
        runtimes: Runtimes that the targets want; another one runs the baseline where none of them reads it.
        x: Preprocessed inputs, float32 (samples, ...).
        threads: Threads of a runtime.
    """
    record = exported / ADOPTED
    if not record.exists():
        keras = {path.name.split(".")[1]: np.load(path, allow_pickle=False) for path in exported.glob("keras.*.npy")}
        baseline = keras.pop("baseline")
        return Sources(True, keras, Source("baseline", baseline))
    files = [exported / item["file"] for item in json.loads(record.read_text()) if item["precision"] == "float32"]
    if not files:
        return Sources(False, reason=NO_BASELINE)
    path = files[0]
    wanted = [name for name in runtimes if path.suffix == f".{load(name).FORMAT}"]
    ran = run_file(path, wanted[0] if wanted else for_file(path), x, threads)
    return Sources(False, baseline=Source(path.name, ran.real), ran=ran)
