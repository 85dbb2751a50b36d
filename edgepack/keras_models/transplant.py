"""Which layers of a model get the weights of another model, and which start fresh?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.errors import RecipeError

SHOWN = 6
"""So many layers are named in a message."""


@dataclass(frozen=True)
class Transplant:
    """What became of the layers with weights.

    Attributes:
        given: Layers that have the weights of the layer of the same name, from the input on.
        fresh: Layers that start fresh, each with the reason.
        unused: Layers of the other model whose weights nobody took.
    """

    given: tuple[str, ...]
    fresh: Mapping[str, str]
    unused: tuple[str, ...]


def transplant(source: Any, target: Any, *, what: str) -> Transplant:
    """Give each layer of a model the weights of the other's layer of the same name, if all of their shapes are equal.

    Args:
        source: tf_keras model, left as it is.
        target: tf_keras model, changed in place.
        what: What the source is called in messages.

    Raises:
        RecipeError: Not one layer fits; the message gives the first names of both sides.
    """
    theirs, ours = _weighted(source), _weighted(target)
    given, fresh = [], {}
    for name, layer in ours.items():
        if name not in theirs:
            fresh[name] = "there is no layer of this name"
        elif (found := _shapes(theirs[name])) != (wanted := _shapes(layer)):
            fresh[name] = f"its weights have the shapes {wanted}, there {found}"
        else:
            layer.set_weights(theirs[name].get_weights())
            given.append(name)
    if not given:
        first = next(iter(fresh.items()), ("", "it has no weights at all"))
        raise RecipeError(
            f"model.weights: no layer of {what} fits {target.name!r} by name and shape; the first, {first[0]!r}: "
            f"{first[1]}; the file has: {', '.join(list(theirs)[:SHOWN]) or 'no layers with weights'}",
            fix="give weights of the same architecture with the same arguments, or take the model itself with `file:`",
        )
    return Transplant(tuple(given), fresh, tuple(name for name in theirs if name not in given))


def _weighted(model: Any) -> dict[str, Any]:
    """The layers with weights by name, those of inner models included."""
    import tf_keras

    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, tf_keras.Model):
            found |= _weighted(layer)
        elif layer.weights:
            found[layer.name] = layer
    return found


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
