"""What does a model bring into its training: which weights, from where, and with which head?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeFloat

from edgepack import extensions
from edgepack.config import Config
from edgepack.contracts import ModelConfig

NEW_HEAD = "it belongs to the new head"


class NewHead(Config):
    """The end of a classifier: average pooling where there are positions, dropout, a dense layer, a softmax."""

    dropout: NonNegativeFloat = Field(0.0, lt=1, description="as a fraction; 0 = no such layer")


@dataclass(frozen=True)
class Start:
    """A model before its training.

    Attributes:
        model: The tf_keras model.
        source: Where its weights are from, in words; empty for a new model, or for one that came as it is.
        given: Names of layers with weights from there.
        fresh: Layers that start fresh, each with the reason; empty for a new model, where all of them do.
        unused: Layers of the source that nobody took weights from.
        loaded: For a model from a file which Keras wrote it, and how far it moved on the way in; JSON-ready.
        warnings: Sentences for the person who runs the recipe.
        values: Smallest and largest input value that the weights were trained on, where that is known.
    """

    model: Any
    source: str = ""
    given: tuple[str, ...] = ()
    fresh: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    loaded: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    values: tuple[float, float] | None = None

    def record(self) -> dict[str, Any] | None:
        """What ``training.json`` says about the weights; None where there is nothing to say."""
        if not self.source:
            return None
        return {
            "source": self.source,
            "given": list(self.given),
            "fresh": dict(self.fresh),
            "unused": list(self.unused),
        }

    def sentence(self) -> str:
        """The same for a person."""
        fresh = f"; fresh: {', '.join(self.fresh)}" if self.fresh else ""
        count = len(self.given)
        return f"start weights from {self.source}: {count} of {count + len(self.fresh)} layers{fresh}"


def begin(config: ModelConfig, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Start:
    """The model that a recipe's ``model`` section chooses; ``input_shape`` is without the batch axis."""
    source = extensions.load("edgepack.models", extensions.name_of(config))
    if hasattr(source, "start"):
        found: Start = source.start(config, base, input_shape=input_shape, classes=classes)
        return found
    return Start(source.build(config, base, input_shape=input_shape, classes=classes))


def weighted_layers(model: Any) -> tuple[str, ...]:
    """Names of the layers with weights, from the input on."""
    return tuple(layer.name for layer in model.layers if layer.weights)
