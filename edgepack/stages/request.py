"""What is a stage told, and what does it hand back?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgepack.contracts import Progress
from edgepack.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """One call of a stage.

    Attributes:
        recipe: The resolved recipe.
        base: The recipe's folder; relative paths in it start here.
        out: Empty folder for the stage's files; nothing is written elsewhere but in ``checkpoints`` and ``logs``.
        inputs: Folders of the earlier stages, by stage name.
        smoke: True for a quick pass over a few samples.
        progress: Receives small events while the stage works.
        options: Whatever else the stage needs, JSON-ready.
        checkpoints: Folder for what a stage goes on from after it was stopped; it goes when the stage is complete.
        logs: Folder of the stage's trainings for TensorBoard; it stays, and is no part of the stage's result.
    """

    recipe: Recipe
    base: Path
    out: Path
    inputs: Mapping[str, Path]
    smoke: bool
    progress: Progress
    options: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Path | None = None
    logs: Path | None = None


KERAS = ("tensorflow", "tf_keras")
COMPRESSION = (*KERAS, "tensorflow_model_optimization")


class Stage(Protocol):
    """A module in ``edgepack/stages``.

    It may name in ``LIBRARIES`` what takes long to import: these are imported once for all stages of a run.
    """

    def run(self, request: Request) -> dict[str, Any]:
        """Do the work; the returned figures are kept beside the files but are not part of the content's digest."""
