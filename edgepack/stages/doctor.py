"""What will quantisation and pruning do with each layer of a model, and what is rewritten before?"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgepack.contracts import LayerNote
from edgepack.stages.request import KERAS, Request

if TYPE_CHECKING:
    from edgepack.keras_models.rewriting import Rewritten

LIBRARIES = KERAS

QUANTISATION = ("passed through", "quantised", "blocked")
PRUNING = ("skipped", "pruned")


def run(request: Request) -> dict[str, Any]:
    """Inspect the recipe's model, untrained; returns one row for each of its layers, those of inner models included."""
    from edgepack.keras_models import inspect
    from edgepack.keras_models.rewriting import rewrite

    model, loaded = _model(request)
    for_pruning = rewrite(model, quantisation=False)
    for_quantisation = rewrite(model, quantisation=True)
    quantised = by_origin(for_quantisation, inspect.quantisation(for_quantisation.model), QUANTISATION)
    pruned = by_origin(for_pruning, inspect.pruning(for_pruning.model), PRUNING)
    layers = [
        {
            "layer": name,
            "class": kind,
            "quantisation": quantised[name].status,
            "quantisation_reason": quantised[name].reason,
            "pruning": pruned[name].status,
            "pruning_reason": pruned[name].reason,
            "rewrite": list(for_quantisation.rewrites.get(name, ())),
        }
        for name, kind in for_quantisation.layers.items()
    ]
    return {
        "schema": "edgepack.layers/1",
        "model": model.name,
        "parameters": int(model.count_params()),
        "loaded": loaded,
        "layers": layers,
        "rewrites": rewrites(for_quantisation),
    }


def _model(request: Request) -> tuple[Any, Mapping[str, Any] | None]:
    """The recipe's model, and for one from a file which Keras wrote it and how far it moved on the way in."""
    from edgepack.models import file
    from edgepack.models._start import begin
    from edgepack.stages.data import prepare
    from edgepack.stages.train import fresh_model

    recipe = request.recipe
    if isinstance(recipe.model, file.Config) and recipe.model.new_head is None:  # a file knows its own shape
        start = begin(recipe.model, request.base, input_shape=(), classes=0)
    else:
        start = fresh_model(request, prepare(recipe, request.base).data)
    return start.model, start.loaded


def by_origin(rewritten: "Rewritten", notes: Sequence[LayerNote], order: Sequence[str]) -> Mapping[str, LayerNote]:
    """One note for each layer of the model as it came, from notes on the layers that do its work now.

    Args:
        rewritten: The model after its rewrites, and where each of its layers comes from.
        notes: One for each of its layers.
        order: Every status; of several layers that do one's work, the one whose status comes last speaks for it.
    """
    found: dict[str, LayerNote] = {}
    for note in notes:
        for origin in rewritten.origins.get(note.layer, (note.layer,)):
            known = found.get(origin)
            if known is None or order.index(note.status) > order.index(known.status):
                found[origin] = note
    return {name: found.get(name) or _without_note(name, kind, order[0]) for name, kind in rewritten.layers.items()}


def _without_note(name: str, kind: str, status: Any) -> LayerNote:
    """For inputs, which a Sequential model does not list, and for layers that left no work behind."""
    return LayerNote(name, kind, status, "input" if kind == "InputLayer" else "its work is done by another layer")


def rewrites(rewritten: "Rewritten") -> list[dict[str, Any]]:
    """What was proved of each rewrite, JSON-ready; figures that are not finite are None."""
    return [
        {
            "rewrite": proof.rewrite,
            "applications": proof.applications,
            "tensors": proof.tensors,
            "max_abs_difference": _finite(proof.max_abs_difference),
            "relative_difference": _finite(proof.relative_difference),
            "made": proof.kept,
            "reason": proof.reason,
        }
        for proof in rewritten.proofs
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
