"""Does the model that was rebuilt in tf_keras compute what Keras 3 computed, and if not, which layer is the first?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepack.errors import RecipeError
from edgepack.keras_models.graph import to_keras
from edgepack.keras_models.keras3.translate import Translation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

TOLERANCE = 1e-4
"""Largest accepted difference, relative to the largest absolute value of the reference."""


@dataclass(frozen=True)
class Difference:
    """How far a tensor is from its reference: the largest absolute difference, and that relative to the reference."""

    absolute: float
    relative: float


def difference(found: Any, expected: Any) -> Difference:
    """Compare two arrays of one shape; a value that is NaN or infinite in one alone is infinitely far away."""
    import numpy as np

    found, expected = (np.asarray(values, np.float64) for values in (found, expected))
    if found.shape != expected.shape:
        return Difference(np.inf, np.inf)
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True) or not np.isfinite(found[finite]).all():
        return Difference(np.inf, np.inf)
    if not finite.any():
        return Difference(0.0, 0.0)
    absolute = float(np.abs(found[finite] - expected[finite]).max())
    largest = float(np.abs(expected[finite]).max())
    return Difference(absolute, absolute / max(largest, 1e-6))


def outputs(model: Any, probe: "Arrays") -> Difference:
    """The largest differences of a model's outputs over all batches of a probe (see `read`)."""
    found = []
    for number in sorted({key.split("/")[1] for key in probe}):
        answers = compute(model, probe, number)
        found += [difference(answer, probe[f"y/{number}/{index}"]) for index, answer in enumerate(answers)]
    return Difference(max(d.absolute for d in found), max(d.relative for d in found))


def compute(model: Any, probe: "Arrays", number: str) -> list[Any]:
    """What a tf_keras model answers for one batch of a probe, one array for each output."""
    import tensorflow as tf

    inputs = [tf.constant(probe[f"x/{number}/{index}"]) for index in range(len(model.inputs))]
    answers = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [value.numpy() for value in tf.nest.flatten(answers)]


def refuse(total: Difference, translation: Translation, probe: "Arrays", layers: "Arrays") -> RecipeError:
    """The error that names the first layer whose tensors differ.

    Args:
        total: The difference of the model's outputs.
        translation: How the model was rebuilt.
        probe: The inputs.
        layers: What each Keras 3 layer gave for them, ``<batch>/<node>/<output>``.
    """
    name, found = _first(list(_by_layer(translation, probe, layers)))
    kind = translation.kinds[name]
    return RecipeError(
        f"rebuilt in tf_keras, the model computes something else: the first layer that differs is {name!r} ({kind}), "
        f"by {found.absolute:.3g} ({found.relative:.3g} of its largest value); the outputs differ by "
        f"{total.absolute:.3g} ({total.relative:.3g}), and {TOLERANCE:g} is accepted",
        fix=f"replace {name!r}, or give a class with custom_objects that computes the same in both versions of Keras",
    )


def _first(differences: list[tuple[str, Difference]]) -> tuple[str, Difference]:
    """The first layer beyond the tolerance, or where none is alone, the one that is farthest off."""
    beyond = (item for item in differences if item[1].relative > TOLERANCE)
    return next(beyond, None) or max(differences, key=lambda item: item[1].relative)


def _by_layer(translation: Translation, probe: "Arrays", layers: "Arrays") -> Iterator[tuple[str, Difference]]:
    """Name and difference of each layer, in the order of the calls."""
    graph = translation.graph.copy()
    wanted = [(place, ref) for place, ref in translation.places.items() if graph.nodes[ref.node].kind != "InputLayer"]
    graph.outputs = tuple(ref for _, ref in wanted)
    model = to_keras(graph)
    worst: dict[str, Difference] = {}
    for number in sorted({key.split("/")[1] for key in probe}):
        for ((name, index), _), answer in zip(wanted, compute(model, probe, number), strict=True):
            found = difference(answer, layers[f"{number}/{name}/{index}"])
            before = worst.get(name, found)
            worst[name] = Difference(max(before.absolute, found.absolute), max(before.relative, found.relative))
    yield from worst.items()
