"""How is a model that starts from the weights of another one trained: the new layers first, then from the top down?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.contracts import Progress
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.training.checkpoints import Places
from edgepack.training.config import Training
from edgepack.training.unfreezing import Phase, Transfer, phases

SEEN_SAMPLES = 512
MARGIN, LEAST_SPAN = 0.05, 0.6
"""Samples that go further than the expected values, or fill less of their span, are taken for wrongly scaled ones."""


@dataclass(frozen=True)
class Transferred:
    """What the training left, besides the weights.

    Attributes:
        curve: The entries of `edgepack.training.fit.Fitted`, of all phases, with the number of the ``phase`` from 1 on.
        best_epoch: The epoch whose weights were kept, from 1 on.
        phases: JSON-ready: ``name``, first and last epoch (``epochs``), and the ``learning_rate`` at its peak of every
            layer that was trained (``rates``).
    """

    curve: tuple[dict[str, float], ...]
    best_epoch: int
    phases: tuple[dict[str, Any], ...]


def fine_tune(
    model: Any,
    data: Dataset,
    training: Training,
    *,
    epochs: int,
    new: Collection[str] = (),
    seed: int,
    progress: Progress,
    smoke: bool = False,
    places: Places | None = None,
) -> Transferred:
    """Train a classifier with start weights in place, phase by phase, and leave it with its best weights.

    Each phase is a training of its own: schedule, warm-up and patience begin anew, and it goes on from the best weights
    of the one before. In the end the weights of the best epoch of all are kept, and every layer is trainable.

    Args:
        model: tf_keras model without models inside it; input float32 (batch, ...), output (batch, classes).
        data: Samples; only the training and validation splits are used.
        training: How to train; `Training.transfer` says what when, its defaults where it is absent.
        epochs: Of all phases together.
        new: Names of layers without start weights. The classifier is trained from the beginning in any case.
        seed: Seed of shuffling and augmentation.
        progress: Receives small events.
        smoke: One epoch for each phase.
        places: Where each phase keeps its checkpoints and its log; None = nowhere.

    Raises:
        RecipeError: Stages do not fit the model or the epochs; or the model has no layers with start weights.
    """
    from edgepack.training.fit import fit

    outputs = int(model.outputs[0].shape[-1])
    if outputs != data.classes:
        raise RecipeError(
            f"training.transfer: the model {model.name!r} has {outputs} outputs, but the data have {data.classes} "
            "classes",
            fix="set `new_head: {}` under model",
        )
    freeze(model, None)
    course = plan(model, training.transfer or Transfer(), epochs, new)
    weights = list(model.weights)
    curve: list[dict[str, float]] = []
    notes: list[dict[str, Any]] = []
    best: tuple[tuple[float, float], int, list[Any]] | None = None
    for number, phase in enumerate(course, 1):
        freeze(model, phase.layers)
        peak = phase.learning_rate or training.learning_rate
        fitted = fit(
            model,
            data,
            training,
            epochs=1 if smoke else phase.epochs,
            learning_rate=peak,
            schedule=training.schedule,
            seed=seed + number - 1,
            progress=progress,
            label=f"train, {phase.name}",
            place=(places or Places()).next(f"phase-{number}"),
            rate_factors=phase.layers,
        )
        past = len(curve)
        curve += [{**entry, "epoch": past + entry["epoch"], "phase": number} for entry in fitted.curve]
        rates = {name: peak * factor for name, factor in phase.layers.items()}
        notes.append({"name": phase.name, "epochs": [past + 1, len(curve)], "rates": rates})
        kept = fitted.curve[fitted.best_epoch - 1]
        score = (kept["val_accuracy"], -kept["val_loss"])
        if best is None or score > best[0]:
            best = score, past + fitted.best_epoch, [weight.numpy() for weight in weights]
    freeze(model, None)
    assert best is not None, "a training has at least one phase"
    for weight, value in zip(weights, best[2], strict=True):
        weight.assign(value)
    return Transferred(tuple(curve), best[1], tuple(notes))


def flat(model: Any) -> Any:
    """The model with the layers of models inside it as its own, so that each can be frozen; else the model itself."""
    import tf_keras

    from edgepack.keras_models.graph import from_keras, to_keras

    inner = any(isinstance(layer, tf_keras.Model) for layer in model.layers)
    return to_keras(from_keras(model)) if inner else model


def warnings(values: tuple[float, float] | None, data: Dataset) -> list[str]:
    """What is probably wrong with samples that a model with start weights is to be trained on.

    Args:
        values: Smallest and largest input value that the weights were trained on, or None where nobody knows.
        data: The samples.
    """
    if values is None:
        return []
    x = data.inputs("train", SEEN_SAMPLES)
    low, high, span = float(x.min()), float(x.max()), values[1] - values[0]
    outside = max(values[0] - low, high - values[1]) > MARGIN * span
    if not outside and high - low >= LEAST_SPAN * span:
        return []
    return [
        (
            f"data.preprocessing: the samples go from {low:g} to {high:g}, but the start weights were trained on "
            f"values from {values[0]:g} to {values[1]:g}"
        )
    ]


def plan(model: Any, transfer: Transfer, epochs: int, new: Collection[str]) -> list[Phase]:
    """The phases of a model's training; what has no start weights, and the classifier, is trained in all of them.

    Layers without weights that could be trained (Normalization) do not count, and all others must be trainable.

    Raises:
        RecipeError: Stages do not fit the model or the epochs; or the model has no layers with start weights.
    """
    from edgepack.keras_models.head import classifier_layers

    weighted = [layer for layer in model.layers if layer.trainable_weights]
    fresh = {*new, *classifier_layers(model)}
    kernels = [layer.name for layer in weighted if layer.name not in fresh and not _normalises(layer)]
    if not kernels:
        raise RecipeError(
            f"training.transfer: no layer of {model.name!r} below its head has start weights",
            fix="give model.weights, or drop training.transfer",
        )
    found = phases(
        transfer, kernels, [layer.name for layer in weighted if layer.name in fresh], epochs=transfer.epochs(epochs)
    )
    if transfer.batch_normalization == "freeze":
        return found
    return [Phase(p.name, p.epochs, p.learning_rate, _with_normalisation(weighted, p.layers, fresh)) for p in found]


def _with_normalisation(weighted: list[Any], trained: Mapping[str, float], fresh: Collection[str]) -> dict[str, float]:
    """Let BatchNormalization follow the layer that stands before it."""
    found = dict(trained)
    before = next(layer.name for layer in weighted if not _normalises(layer))
    for layer in weighted:
        if not _normalises(layer):
            before = layer.name
        elif layer.name not in fresh and before in trained:
            found[layer.name] = trained[before]
    return found


def _normalises(layer: Any) -> bool:
    return type(layer).__name__ in ("BatchNormalization", "SyncBatchNormalization")


def freeze(model: Any, trained: Collection[str] | None) -> None:
    """Let only the named layers learn; None = all of them. A frozen BatchNormalization keeps its statistics, too."""
    model.trainable = True  # for layers inside layers as well
    for layer in model.layers:
        layer.trainable = trained is None or layer.name in trained
