"""What do techniques check about a model's layers before they start, and which of them do a recipe's filters choose?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from edgepack.contracts import LayerNote
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean

if TYPE_CHECKING:
    from edgepack.dataset import Dataset


def is_quantised(model: Any) -> bool:
    """True when TFMOT's fake-quantisation wrappers are in the model."""
    names = [type(layer).__name__ for layer in model.layers]
    return any(name == "QuantizeLayer" or "QuantizeWrapper" in name for name in names)


def refuse_quantised(model: Any, technique: str) -> None:
    """Refuse a model that carries fake quantisation.

    Raises:
        RecipeError: It does.
    """
    if is_quantised(model):
        raise RecipeError(
            f"compress: `use: {technique}` received a model that is already fake-quantised; expected a float model",
            fix=f"put `use: {technique}` before `use: qat`",
        )


def check_names(model: Any, names: Sequence[str], *, key: str) -> None:
    """Refuse layer names that the model does not have.

    Raises:
        RecipeError: A name is unknown; the nearest one is offered.
    """
    known = [layer.name for layer in model.layers]
    for name in names:
        if name not in known:
            raise _unknown(name, known, key=key)


def passed_through(model: Any, reasons: Mapping[str, str]) -> list[LayerNote]:
    """One note for each layer of a model in which a step prunes, clusters and quantises none.

    Args:
        model: tf_keras model after the step.
        reasons: By name of the layer.
    """
    return [
        LayerNote(layer.name, type(layer).__name__, "passed through", reasons.get(layer.name, ""))
        for layer in model.layers
    ]


@dataclass(frozen=True)
class Prepared:
    """A float model that a technique may wrap and train, and what happened to it on the way.

    Attributes:
        model: tf_keras model that shares nothing with the one the technique was given.
        names: For each of its layers every name that a recipe may call it by: its own, its class, and those of the
            layers that it was rewritten from.
        rewrites: What was rewritten, one sentence each.
        warnings: Rewrites that were left out, one sentence each.
    """

    model: Any
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rewrites: Sequence[str] = ()
    warnings: Sequence[str] = ()


def prepare(model: Any, technique: str) -> Prepared:
    """Check a float model, rewrite its structure, and copy it: training must not reach the model that was given.

    Raises:
        RecipeError: The model carries fake quantisation, or is a subclassed model.
    """
    import tf_keras

    from edgepack.keras_models.rewriting import rewrite

    refuse_quantised(model, technique)
    rewritten = rewrite(model, quantisation=False)
    own = rewritten.model
    if own is model:
        own = tf_keras.models.clone_model(model)
        own.set_weights(model.get_weights())
    names = {}
    for layer in own.layers:
        before = rewritten.origins.get(layer.name, ())
        kinds = (rewritten.layers[name] for name in before if name in rewritten.layers)
        names[layer.name] = tuple(dict.fromkeys((layer.name, type(layer).__name__, *before, *kinds)))
    return Prepared(own, names, rewritten.sentences, rewritten.warnings)


def chosen_by(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """True when one of the patterns fits one of a layer's names; upper and lower case differ."""
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def check_patterns(names: Mapping[str, Sequence[str]], patterns: Sequence[str], *, key: str) -> None:
    """Refuse patterns that fit no layer.

    Raises:
        RecipeError: One does; the nearest name is offered.
    """
    for pattern in patterns:
        if not any(chosen_by([pattern], known) for known in names.values()):
            raise _unknown(pattern, list(dict.fromkeys(name for known in names.values() for name in known)), key=key)


def filtered(
    notes: Sequence[LayerNote],
    names: Mapping[str, Sequence[str]],
    *,
    include: Sequence[str],
    exclude: Sequence[str],
) -> list[LayerNote]:
    """Mark those layers as skipped that a recipe's filters leave out.

    Args:
        notes: What a technique would do with each layer.
        names: Names of each layer, see `Prepared`.
        include: Patterns; none = every layer.
        exclude: Patterns; they win over ``include``.

    Raises:
        RecipeError: A pattern fits no layer.
    """
    check_patterns(names, include, key="include")
    check_patterns(names, exclude, key="exclude")
    result = []
    for note in notes:
        if note.status in ("pruned", "clustered"):
            if chosen_by(exclude, names[note.layer]):
                note = replace(note, status="skipped", reason="excluded by the recipe")
            elif include and not chosen_by(include, names[note.layer]):
                note = replace(note, status="skipped", reason="not included by the recipe")
        result.append(note)
    return result


def require_any(notes: Sequence[LayerNote], technique: str) -> None:
    """Refuse a step that changes no layer.

    Raises:
        RecipeError: Every layer is skipped; the message says why those with weights are.
    """
    if not any(note.status in ("pruned", "clustered") for note in notes):
        reasons = "; ".join(f"{note.layer}: {note.reason}" for note in notes if note.reason)
        raise RecipeError(
            f"compress: `use: {technique}` found no layer to work on ({reasons})",
            fix="change `include` and `exclude`, or drop the step",
        )


def _unknown(name: str, known: Sequence[str], *, key: str) -> RecipeError:
    return RecipeError(
        f"compress: `{key}` names the layer {name!r}, which the model has not; its layers are: {', '.join(known)}",
        fix=did_you_mean(name, list(known)) or "use one of the names above",
    )


def settle(model: Any, data: "Dataset", *, known: float | None = None, samples: int = 1024) -> float:
    """Renew the BatchNormalization statistics of a compressed model where that makes it better, in place.

    They follow the weights over hundreds of steps, and compression steps are short.

    Args:
        model: tf_keras model.
        data: Samples; training samples give the statistics, the validation split says which ones stay.
        known: Validation accuracy of the model as it is, as a fraction; None = it is measured.
        samples: Training samples to use.

    Returns:
        Validation accuracy of what is left, as a fraction.
    """
    from edgepack.channels.statistics import renew
    from edgepack.training.fit import evaluate

    before = evaluate(model, data)["val_accuracy"] if known is None else known
    weights = model.get_weights()
    if not renew(model, data.calibration(samples)):
        return before
    after = evaluate(model, data)["val_accuracy"]
    if after >= before:
        return after
    model.set_weights(weights)
    return before
