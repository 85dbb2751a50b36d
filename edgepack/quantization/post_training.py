"""How does a trained float model become one that computes as if in 8-bit integers, without training it?"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibrated:
    """A fake-quantised model whose ranges samples have set.

    Attributes:
        model: tf_keras model.
        float_layers: Its layers whose kernels are in float.
    """

    model: Any
    float_layers: frozenset[str]


def calibrated(
    model: Any, samples: "NDArray[np.float32]", *, in_float: Collection[str] = (), correct_bias: bool = False
) -> Calibrated:
    """Rewrite a float model where it must be, insert fake quantisation and set its ranges from samples.

    Args:
        model: Sequential or Functional tf_keras model; stays as it is.
        samples: float32 model inputs of shape (n, ...).
        in_float: Names of layers of ``model`` whose kernels stay in float.
        correct_bias: Whether biases make up for the mean error of their channels.
    """
    from edgepack.keras_models.rewriting import rewrite
    from edgepack.quantization.apply import fake_quantise
    from edgepack.quantization.bias_correction import correct_biases
    from edgepack.quantization.ranges import calibrate

    rewritten = rewrite(model, quantisation=True)
    own = {name for name, layers in rewritten.origins.items() if set(layers) & set(in_float)} | set(in_float)
    quantised = fake_quantise(rewritten.model, in_float=own)
    calibrate(quantised, samples)
    if correct_bias:
        correct_biases(quantised, samples)
    return Calibrated(quantised, frozenset(own))
