"""How do the means of a quantised model's channels get back to where they are in float?

Bias correction, Nagel et al., 1906.04721, section 4.2, with the expected error measured on samples (appendix D).
"""

import math
from typing import TYPE_CHECKING, Any

from edgepack.quantization.switches import quantizers, switched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def correct_biases(model: Any, samples: "NDArray[np.float32]", *, batch_size: int = 64) -> dict[str, float]:
    """Subtract from each bias the mean error of its channel's output, layer after layer, in place.

    Each layer is measured when those before it have been corrected.

    Args:
        model: Fake-quantised tf_keras model with its ranges set.
        samples: float32 model inputs of shape (n, ...).
        batch_size: Samples per forward pass.

    Returns:
        Largest change of a bias, by the layer's name without the prefix of fake quantisation.
    """
    import numpy as np
    import tf_keras

    layers = [layer for layer in model.layers if getattr(layer, "_weight_vars", ()) and layer.layer.use_bias]
    every = [quantizer for layer in model.layers for quantizer in quantizers(layer)]

    def means(layer: Any) -> "Vector":
        part = tf_keras.Model(model.inputs, layer.output)
        sums = [
            np.asarray(part(samples[start : start + batch_size], training=False), np.float64)
            .reshape(-1, layer.output.shape[-1])
            .sum(axis=0)
            for start in range(0, len(samples), batch_size)
        ]
        return np.asarray(np.sum(sums, axis=0) / (len(samples) * math.prod(layer.output.shape[1:-1])))

    with switched(every, off=True):
        wanted = [means(layer) for layer in layers]
    changes = {}
    for layer, mean in zip(layers, wanted, strict=True):
        error = means(layer) - mean
        layer.layer.bias.assign_sub(error.astype(np.float32))
        changes[layer.name.removeprefix("quant_")] = float(np.max(np.abs(error), initial=0))
    return changes
