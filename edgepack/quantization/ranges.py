"""Which range has each quantised tensor: seen on real samples, then moved by training?"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Range = tuple[float, float]


MOVED = 0.05
"""A range that went less than this share of its way from the start to what the samples show has not moved."""


@dataclass(frozen=True)
class Stuck:
    """A range that means nothing: it is where every range starts, and the samples are elsewhere.

    Attributes:
        scale: Name of the scale.
        range: (low, high) that the model computes with.
        seen: (low, high) of the samples.
    """

    scale: str
    range: "Range"
    seen: "Range"


def calibrate(model: Any, samples: "NDArray[np.float32]", *, batch_size: int = 128) -> dict[str, "Range"]:
    """Set every range of a fake-quantised model: of weights from the weights, of activations from real samples.

    TFMOT starts each range at +-6 and moves it by 0.1 % a step, so that short training leaves ranges that mean nothing.

    Args:
        model: Model from `apply.fake_quantise`; changed in place.
        samples: float32 model inputs of shape (n, ...); none = activations keep TFMOT's start.
        batch_size: Samples per forward pass.

    Returns:
        Smallest and largest value seen, by the name of the scale; 0 is always inside.
    """
    # The samples must meet the weights as they will be, not in steps of 6 / 127.
    for layer in model.layers:
        for weight, quantizer, variables in getattr(layer, "_weight_vars", ()):
            quantizer(weight, training=True, weights=variables)
    seen = observe(model, samples, batch_size=batch_size)
    for layer in model.layers:
        for quantizer, variables in activation_quantizers(layer):
            if quantizer.scale in seen:
                low, high = seen[quantizer.scale]
                variables["min_var"].assign(low)
                variables["max_var"].assign(high)
    return seen


def observe(model: Any, samples: "NDArray[np.float32]", *, batch_size: int = 128) -> dict[str, "Range"]:
    """Smallest and largest value of each quantised activation on some samples, by the name of its scale."""
    import tensorflow as tf

    seen: dict[str, tuple[float, float]] = {}

    def note(quantizer: Any, tensor: Any) -> None:
        low, high = seen.get(quantizer.scale, (0.0, 1e-6))
        seen[quantizer.scale] = (min(low, float(tf.reduce_min(tensor))), max(high, float(tf.reduce_max(tensor))))

    with _observed(note):
        for start in range(0, len(samples), batch_size):
            model(samples[start : start + batch_size], training=False)
    return seen


def stuck(model: Any, samples: "NDArray[np.float32]", *, calibrated: Collection[str] = ()) -> list[Stuck]:
    """The activation ranges that never left their start although the samples are elsewhere.

    Args:
        model: Model from `apply.fake_quantise`.
        samples: float32 model inputs of shape (n, ...).
        calibrated: Scales whose range samples have set already: near +-6 they are there by right.
    """
    from edgepack.quantization.quantizers import INITIAL

    seen, found = observe(model, samples), {}
    for layer in model.layers:
        for quantizer, variables in activation_quantizers(layer):
            if quantizer.scale not in seen or quantizer.scale in calibrated:
                continue
            now = (float(variables["min_var"]), float(variables["max_var"]))
            target = seen[quantizer.scale]
            way = abs(target[0] + INITIAL) + abs(target[1] - INITIAL)
            left = abs(now[0] + INITIAL) + abs(now[1] - INITIAL)
            if way > MOVED * INITIAL and left < MOVED * way:
                found[quantizer.scale] = Stuck(quantizer.scale, now, target)
    return list(found.values())


def activation_quantizers(layer: Any) -> list[tuple[Any, Mapping[str, Any]]]:
    """The activation quantizers of one layer with their variables."""
    found = []
    if getattr(layer, "_output_quantizers", None):
        found.append((layer._output_quantizers[0], layer._output_quantizer_vars))
    if getattr(layer, "quantizer_vars", None):
        found.append((layer.quantizer, layer.quantizer_vars))
    return found


@contextmanager
def _observed(note: Any) -> Iterator[None]:
    """While open, activation quantizers show what they are given and pass it on unchanged."""
    from edgepack.quantization.quantizers import RangeQuantizer

    RangeQuantizer.observer = staticmethod(note)
    try:
        yield
    finally:
        RangeQuantizer.observer = None
