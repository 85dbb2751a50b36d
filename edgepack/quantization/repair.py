"""Which few layers must compute in float so that an int8 file is accurate enough?"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.contracts import Progress
from edgepack.quantization.post_training import calibrated
from edgepack.quantization.sensitivity import Sensitivity, rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgepack.dataset import Dataset

RANKED_ON = 64
"""Samples on which the noise of each part is measured."""


@dataclass(frozen=True)
class Tried:
    """One choice of layers in float and the figure of merit of its file on the validation samples."""

    in_float: tuple[str, ...]
    figure: float


@dataclass(frozen=True)
class Repaired:
    """What it takes to keep an int8 file accurate.

    Attributes:
        in_float: Layers that compute in float; none where full int8 is good enough.
        holds: Whether the file then loses no more than it may.
        baseline: Figure of merit of the float model on the validation samples.
        figure: That of the file.
        ranking: Kernels and tensors by the noise that quantising them causes, worst first; empty where it was not
            asked for.
        tried: Every choice that was converted and measured, in order.
    """

    in_float: tuple[str, ...]
    holds: bool
    baseline: float
    figure: float
    ranking: Sequence[Sensitivity]
    tried: Sequence[Tried]


def repair(
    model: Any,
    data: "Dataset",
    samples: "NDArray[np.float32]",
    *,
    max_drop: float,
    max_layers: int,
    in_float: Sequence[str] = (),
    correct_bias: bool = False,
    progress: Progress,
) -> Repaired:
    """Keep the layers in float whose quantisation costs most, until an int8 file is accurate enough on validation data.

    Parts are spared in the order of the noise that they cause alone. What then turns out not to be needed is quantised
    again, the largest kernels first.

    Args:
        model: Float tf_keras model; stays as it is.
        data: Only the validation split is used: the test samples judge the result.
        samples: float32 model inputs of shape (n, ...) that set the ranges.
        max_drop: Largest loss against the float model, in the task's figure of merit.
        max_layers: Most layers with a kernel that may stay in float, besides those of ``in_float``.
        in_float: Layers that stay in float in any case.
        correct_bias: Whether biases make up for the mean error of their channels.
        progress: Receives an event for each choice that is tried.
    """
    measure = _Measure(model, data, samples, correct_bias, progress)
    baseline = measure.baseline()
    given = tuple(in_float)
    goal = baseline - max_drop - 1e-9
    if measure(given) >= goal:
        return Repaired(given, True, baseline, measure(given), (), measure.tried)
    progress({"label": "repair", "text": "ranking kernels and tensors by the noise that 8 bits cause"})
    ranking = rank(calibrated(model, samples, in_float=given).model, samples[:RANKED_ON])
    weights = {item.layer: item.weights for item in ranking if item.part == "kernel"}
    chosen = given
    for item in ranking:
        wider = tuple(dict.fromkeys([*chosen, *item.needs]))
        if wider == chosen or sum(name in weights for name in wider if name not in given) > max_layers:
            continue
        if measure(wider) >= measure(chosen):
            chosen = wider
        if measure(chosen) >= goal:
            break
    if measure(chosen) >= goal:
        for name in sorted(set(chosen) - set(given), key=lambda name: (-weights.get(name, 0), name)):
            narrower = tuple(other for other in chosen if other != name)
            if measure(narrower) >= goal:
                chosen = narrower
    return Repaired(chosen, measure(chosen) >= goal, baseline, measure(chosen), ranking, measure.tried)


class _Measure:
    """The figure of merit, on the validation samples, of the file that a choice of layers in float makes."""

    def __init__(
        self, model: Any, data: "Dataset", samples: "NDArray[np.float32]", correct_bias: bool, progress: Progress
    ) -> None:
        from edgepack.runner import tasks

        self._model, self._samples, self._progress = model, samples, progress
        self._correct_bias = correct_bias
        self._x, labels = data.inputs("validation"), data.targets("validation")
        judge = tasks.load(data.task)
        self._figure: Callable[[Any], float] = lambda outputs: judge.figure(outputs, self._x, labels)
        self._known: dict[frozenset[str], float] = {}
        self.tried: list[Tried] = []

    def baseline(self) -> float:
        """The figure of the float model."""
        import numpy as np

        outputs = self._model.predict(self._x, batch_size=128, verbose=0)
        return self._figure(np.asarray(outputs, np.float32))

    def __call__(self, in_float: Sequence[str]) -> float:
        key = frozenset(in_float)
        if key not in self._known:
            self._known[key] = self._of(tuple(in_float))
            self.tried.append(Tried(tuple(in_float), self._known[key]))
            what = ", ".join(in_float) or "none"
            self._progress({"label": "repair", "text": f"in float: {what}: {100 * self._known[key]:.2f} %"})
        return self._known[key]

    def _of(self, in_float: tuple[str, ...]) -> float:
        from edgepack.formats.tflite import integer_file
        from edgepack.runner.infer import predict
        from edgepack.runner.sessions import open_session

        made = calibrated(self._model, self._samples, in_float=in_float, correct_bias=self._correct_bias)
        with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
            path = Path(folder) / "model.int8.tflite"
            path.write_bytes(integer_file(made.model, self._samples, mixed=bool(in_float)))
            with open_session("litert", path, 1) as session:
                _, real = predict(session, self._x)
        return self._figure(real)
