"""What are a model's BatchNormalization statistics now that some of its channels are gone?"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def renew(model: Any, samples: "NDArray[np.float32]", *, batch_size: int = 64) -> int:
    """Replace the moving means and variances by those of real samples; the weights stay.

    A convolution that lost inputs gives other values than the old statistics say, so that a pruned model looks worse
    than it is before it is trained on (Li et al., "EagleEye", 2007.02491). Averaging them anew costs a forward pass.

    Args:
        model: tf_keras model; changed in place.
        samples: float32 model inputs of shape (n, ...).
        batch_size: Samples of which the statistics are averaged; a rest of fewer than 2 is left out.

    Returns:
        Number of BatchNormalization layers that were set.
    """
    layers = [layer for layer in model.layers if _normalises(layer)]
    if not layers:
        return 0
    starts = [start for start in range(0, len(samples), batch_size) if len(samples) - start > 1]
    with _quiet(model), _restored(layers, "momentum"):
        for number, start in enumerate(starts):
            for layer in layers:
                layer.momentum = number / (number + 1)
            model(samples[start : start + batch_size], training=True)
    return len(layers) if starts else 0


def _normalises(layer: Any) -> bool:
    import tf_keras

    return isinstance(layer, tf_keras.layers.BatchNormalization) and layer.trainable


@contextmanager
def _quiet(model: Any) -> Iterator[None]:
    """While open, layers that add noise in training add none."""
    with _restored(model.layers, "rate", 0.0), _restored(model.layers, "stddev", 0.0):
        yield


@contextmanager
def _restored(layers: Any, name: str, value: Any = None) -> Iterator[None]:
    """Bring back an attribute of some layers at the end; set it first when a value is given."""
    before = [(layer, getattr(layer, name)) for layer in layers if isinstance(getattr(layer, name, None), float | int)]
    for layer, _ in before:
        if value is not None:
            setattr(layer, name, value)
    try:
        yield
    finally:
        for layer, old in before:
            setattr(layer, name, old)
