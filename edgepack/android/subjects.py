"""Which files are to be measured, and which real samples do they get?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.runner import bundle
from edgepack.runner.errors import UsageError
from edgepack.runner.infer import golden_batches
from edgepack.runner.tensors import TensorSpec

from .errors import WordsError

RUNTIME = "litert"


@dataclass(frozen=True)
class Subject:
    """One file.

    Attributes:
        entry: As the runner describes it.
        inputs: Its inputs as the manifest has them; empty for a bare file.
        outputs: Its outputs, likewise.
    """

    entry: bundle.Entry
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def samples(self, count: int) -> list["SampleBytes"]:
        """Up to so many golden samples as the model takes them; none for a bare file or for several inputs.

        Raises:
            UsageError: They cannot be read, or are not for this model.
        """
        if self.entry.golden is None or len(self.inputs) != 1:
            return []
        (spec,) = self.inputs
        batches = golden_batches(self.entry.golden, self.entry.columns, spec)[:count]
        return [SampleBytes(found.tobytes(), found.shape) for found in batches]


@dataclass(frozen=True)
class SampleBytes:
    """One input: the numbers as they lie in memory, and their shape with the batch axis first."""

    content: bytes
    shape: tuple[int, ...]


def subjects(
    what: Path, *, artifacts: Sequence[str] = (), runtime: str | None = None, threads: int | None = None
) -> list[Subject]:
    """The ``.tflite`` files of a bundle, or a file alone.

    Raises:
        WordsError: The runtime or the file is not LiteRT's.
        UsageError: There is no such bundle or file, or nothing in it is as asked for.
    """
    if runtime not in (None, RUNTIME):
        raise WordsError(f"a phone runs LiteRT, and --runtime {runtime} was asked for", fix="leave --runtime out")
    if what.is_file():
        if what.suffix != ".tflite":
            raise WordsError(f"a phone runs .tflite files, and {what.name} is none", fix="give a .tflite file")
        entry = bundle.Entry(what.name, what, RUNTIME, threads or 1, None, None, None, None)
        return [Subject(entry)]
    for name in artifacts:
        if not name.endswith(".tflite"):
            raise WordsError(f"a phone runs .tflite files, and {name} is none", fix="leave it out")
    entries = bundle.read(what, artifacts=artifacts, runtime=RUNTIME, threads=threads)
    return [Subject(entry, *_tensors(what, entry.name)) for entry in entries]


def manifest(what: Path) -> Mapping[str, Any]:
    """A bundle's manifest; empty for a file alone, or where it cannot be read."""
    try:
        found = json.loads((what / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def of_target(what: Path) -> Mapping[str, Any] | None:
    """What a bundle's target says of phones."""
    target = manifest(what).get("target_spec")
    found = target.get("android") if isinstance(target, dict) else None
    return found if isinstance(found, dict) else None


def _tensors(folder: Path, name: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of an artifact, by its bundle's manifest."""
    try:
        for artifact in manifest(folder)["artifacts"]:
            if artifact["file"] == name:
                inputs, outputs = (
                    tuple(TensorSpec.from_dict(spec) for spec in artifact[key]) for key in ("inputs", "outputs")
                )
                return inputs, outputs
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder / 'manifest.json'} does not say what {name} takes and gives ({error})") from error
    return (), ()
