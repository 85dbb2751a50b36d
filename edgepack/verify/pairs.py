"""How well does every way of computing a model agree with every other, from Keras to ONNX Runtime?"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from edgepack.contracts import Progress
from edgepack.runner.tensors import TensorSpec, quantize
from edgepack.verify import parity
from edgepack.verify.gates import KERAS
from edgepack.verify.layers import LIMIT, compare_layers
from edgepack.verify.runs import Outputs, Ran, Truth, run_file
from edgepack.verify.sources import Sources

YARDSTICKS = {
    "int8": (("xnnpack", "reference"), ("builtin", "reference"), ("xnnpack", "builtin")),
    "dynamic_range": (("xnnpack", "builtin"),),
}
"""LiteRT's kernels that are held against each other, by precision; int16 has one set, float none that rounds."""

DERIVED = ("int8",)
"""Precisions of which the ``.onnx`` has the numbers of the ``.tflite``, so that both must agree."""


@dataclass(frozen=True)
class _Side:
    """One way of computing the outputs (samples, ...) of a model."""

    file: str
    runtime: str
    kernels: str | None
    real: Outputs
    scale: float | None


def compare_all(
    runs: Sequence[Ran],
    found: Sources,
    folder: Path,
    truth: Truth,
    *,
    layer_samples: int,
    threads: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Compare Keras' models with artifacts, these with each other, and LiteRT's kernels among themselves.

    Precision by precision; every file with what it was made from.

    Args:
        runs: Artifacts under their runtimes.
        found: What the artifacts are held against. Where nobody knows which file was made from which, all are compared,
            and only one file under two interpreters is judged.
        folder: Where the artifacts are.
        truth: The samples on which they are compared: the first ones of those of ``runs`` and ``found``.
        layer_samples: Samples on which an int8 ``.onnx`` is held against its ``.tflite`` layer by layer.
        threads: Threads of the runtimes.
        progress: Receives an event for each pass over the samples.

    Returns:
        One entry a pair: the two sides with the figure of merit of each, and how far they are apart. ``yardstick``
        marks LiteRT's kernels among themselves; ``status`` is set where a pair is judged by them.
    """
    models = [
        _Side(name, KERAS, None, found.keras[name][: len(truth.x)], None)
        for name in ("float", "quantised")
        if name in found.keras
    ]
    pairs = _with_baseline(runs, found, truth)
    for precision in sorted({ran.precision for ran in runs}):
        own = {ran.runtime: ran for ran in runs if ran.precision == precision}
        sources = [model for model in models if precision == "int8" or model.file == "float"]
        artifacts = [_side(ran, len(truth.x)) for ran in own.values()]
        pairs += [_pair(*sides, truth) for sides in product(sources, artifacts)]
        lite = own.pop("litert", None) or _beside(own.values(), folder, truth, threads)
        if lite is None:
            continue
        sets = _Sets(lite, folder, truth, threads, progress)
        yardstick = [_pair(sets.side(a), sets.side(b), truth, yardstick=True) for a, b in YARDSTICKS.get(precision, ())]
        pairs += yardstick
        layers: dict[str, Any] = {}
        for other in own.values():
            # Other interpreters of .tflite files have kernels made after the reference; what they are to equal.
            same = other.file == lite.file
            pair = _pair(sets.side("reference" if same else "xnnpack"), _side(other, len(truth.x)), truth)
            if precision in DERIVED and (same or found.made_here):
                pair["status"] = "ok" if _as_close(pair, yardstick) else "failed"
            if precision in DERIVED and found.made_here and not same:
                if other.file not in layers:
                    progress({"label": "verify", "text": f"{other.file} layer by layer, {layer_samples} samples"})
                    layers[other.file] = _layers(lite, other.file, folder, truth.x[:layer_samples], threads)
                pair["layers"] = layers[other.file]
            pairs.append(pair)
    if len(models) > 1:
        pairs.append(_pair(models[0], models[1], truth))
    return pairs


def _with_baseline(runs: Sequence[Ran], found: Sources, truth: Truth) -> list[dict[str, Any]]:
    """The baseline that is a file with every file of another precision; its own are compared among themselves."""
    if found.ran is None:
        return []
    baseline = _side(found.ran, len(truth.x))
    others = [ran for ran in runs if ran.precision != found.ran.precision]
    return [_pair(baseline, _side(other, len(truth.x)), truth) for other in others]


def _side(ran: Ran, samples: int) -> _Side:
    scale = ran.outputs[0]["scale"]
    kernels = ran.kernels or ("xnnpack" if ran.runtime == "litert" else None)
    return _Side(ran.file, ran.runtime, kernels, ran.real[:samples], scale)


class _Sets:
    """A ``.tflite`` file under LiteRT's sets of kernels, each run when it is first asked for."""

    def __init__(self, lite: Ran, folder: Path, truth: Truth, threads: int, progress: Progress) -> None:
        self._lite, self._folder, self._truth, self._threads, self._progress = lite, folder, truth, threads, progress
        self._sides = {"xnnpack": _side(lite, len(truth.x))}

    def side(self, name: str) -> _Side:
        """The file under the kernels of that name, see `edgepack.runner.sessions.litert`."""
        if name not in self._sides:
            lite, x = self._lite, self._truth.x
            self._progress({"label": "verify", "text": f"{lite.file} with LiteRT's {name} kernels, {len(x)} samples"})
            ran = run_file(self._folder / lite.file, "litert", x, self._threads, kernels=name)
            self._sides[name] = _side(ran, len(x))
        return self._sides[name]


def _beside(runs: Iterable[Ran], folder: Path, truth: Truth, threads: int) -> Ran | None:
    """LiteRT's answers to a ``.tflite`` file that no target runs under LiteRT; None where there is no such file."""
    file = next((ran.file for ran in runs if ran.file.endswith(".tflite")), None)
    return run_file(folder / file, "litert", truth.x, threads) if file else None


def _pair(a: _Side, b: _Side, truth: Truth, *, yardstick: bool = False) -> dict[str, Any]:
    difference = parity.compare(a.real, b.real, task=truth.task, inputs=truth.x)
    scale = a.scale or b.scale
    return {
        "a": _described(a, truth),
        "b": _described(b, truth),
        "samples": difference.samples,
        "top1_agreement": difference.top1_agreement,
        "max_abs_difference": difference.max_abs,
        "max_lsb_difference": round(difference.max_abs / scale) if scale else None,
        "sqnr_db": difference.sqnr_db,
        "yardstick": yardstick,
        "status": None,
    }


def _described(side: _Side, truth: Truth) -> dict[str, Any]:
    return {
        "file": side.file,
        "runtime": side.runtime,
        "kernels": side.kernels,
        "accuracy": truth.figure(side.real),
    }


def _as_close(pair: dict[str, Any], own: list[dict[str, Any]]) -> bool:
    """True when two runtimes agree at least as well as the least agreeing two of LiteRT's own sets of kernels."""
    return bool(
        pair["top1_agreement"] >= min(item["top1_agreement"] for item in own)
        and pair["max_abs_difference"] <= max(item["max_abs_difference"] for item in own) + 1e-9
    )


def _layers(lite: Ran, file: str, folder: Path, x: Outputs, threads: int) -> dict[str, Any]:
    """What the layers of both files make of the same integers: the largest difference, and the first too large."""
    fed = quantize(x, TensorSpec.from_dict(lite.inputs[0]))
    found = compare_layers(folder / lite.file, folder / file, fed, threads)
    beyond = next((layer for layer in found if layer.largest > LIMIT), None)
    return {
        "samples": len(x),
        "compared": len(found),
        "limit": LIMIT,
        "largest": max((layer.largest for layer in found), default=0),
        "first_beyond": asdict(beyond) if beyond else None,
        "differing": [asdict(layer) for layer in found if layer.largest],
    }
