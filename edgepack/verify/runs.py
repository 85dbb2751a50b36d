"""What does an artifact give for real samples under a runtime, and what is it judged by?"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepack.errors import VerificationError
from edgepack.runner import tasks
from edgepack.runner.errors import RunnerError
from edgepack.runner.infer import predict
from edgepack.runner.sessions import for_file, load, open_session

Outputs = NDArray[np.float32]


@dataclass(frozen=True)
class Ran:
    """One artifact under one runtime: raw outputs (samples, ...), the same as real numbers, and its tensors."""

    file: str
    runtime: str
    kernels: str | None
    raw: NDArray[Any]
    real: Outputs
    details: dict[str, Any]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]

    @property
    def precision(self) -> str:
        """Number format, as the file's name says."""
        return self.file.split(".")[1]


@dataclass(frozen=True)
class Truth:
    """What artifacts are judged by: the task, inputs (samples, ...) and labels (samples,)."""

    task: str
    x: Outputs
    labels: NDArray[np.int64]

    def figure(self, outputs: Outputs) -> float:
        """The task's figure of merit of outputs for these samples."""
        return tasks.load(self.task).figure(outputs, self.x, self.labels)

    def first(self, samples: int) -> "Truth":
        """The same for fewer samples."""
        return Truth(self.task, self.x[:samples], self.labels[:samples])


def _starts_here(runtime: str) -> bool:
    """Whether a runtime is installed and needs no hardware that may be missing."""
    module = load(runtime)
    return module.ACCELERATOR is None and find_spec(module.MODULE) is not None


def run_file(path: Path, runtime: str, x: Outputs, threads: int, **options: Any) -> Ran:
    """Run an artifact on samples.

    Args:
        path: The artifact.
        runtime: Name of a file in ``edgepack/runner/sessions``.
        x: Preprocessed inputs, float32 (samples, ...).
        threads: Threads of the runtime.
        options: For the runtime, e.g. ``kernels``.

    Raises:
        VerificationError: It does not load, or gives no numbers.
    """
    try:
        session = open_session(runtime, path, threads, **options)
    except RunnerError as first:
        if _starts_here(runtime):
            raise VerificationError(str(first), fix="export another precision for this runtime") from first
        # An accelerator's runtime cannot start on a machine without it: the same file is then proved with the
        # host's runtime for its format, and `details` says so.
        try:
            session = open_session(for_file(path), path, threads)
        except RunnerError as error:
            raise VerificationError(f"{path.name} does not load: {first}", fix="see the log of the export") from error
    with session:
        raw, real = predict(session, x)
        details = dict(session.details)
        inputs = [spec.to_dict() for spec in session.inputs]
        outputs = [spec.to_dict() for spec in session.outputs]
    if not np.isfinite(real).all():
        raise VerificationError(
            f"{path.name} under {runtime} gives NaN or infinity for {int((~np.isfinite(real)).any(-1).sum())} samples",
            fix="look for divisions, logarithms or overflows in the model",
        )
    return Ran(path.name, runtime, options.get("kernels"), raw, real, details, inputs, outputs)
