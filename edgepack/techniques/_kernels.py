"""Which arrays of a Keras layer are its kernels, and how do they lie in a ``.tflite`` file?"""

from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Kernel = NDArray[np.floating[Any]]

OUTPUTS_BEFORE_INPUTS = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
"""Layers whose kernel is (..., output channels, input channels); elsewhere the output channels are the last axis."""


def prunable(layer: Any) -> list[Any]:
    """The kernels that TFMOT would prune, as variables."""
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    if not PruneRegistry.supports(layer):
        return []
    return [attrgetter(name)(layer) for name in PruneRegistry._weight_names(layer)]


def clusterable(layer: Any) -> list[Any]:
    """The kernels that TFMOT would cluster, as variables; those of recurrent layers and of attention left out."""
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import ClusteringRegistry

    names = ClusteringRegistry._LAYERS_WEIGHTS_MAP.get(type(layer), [])
    return [attrgetter(name)(layer) for name in names]


def output_axis(layer: Any) -> int:
    """Axis of the output channels in a kernel of this layer: -1 or -2."""
    return -2 if type(layer).__name__ in OUTPUTS_BEFORE_INPUTS else -1


def file_shape(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a kernel in a ``.tflite`` file, output channels first, axes of size 1 left out."""
    axis = len(shape) + output_axis(layer)
    return squeezed((shape[axis], *shape[:axis], *shape[axis + 1 :]))


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its axes of size 1, which converters add and drop as they like."""
    return tuple(int(size) for size in shape if size != 1)


def total_sparsity(model: Any, layers: set[str]) -> float:
    """Share of zeros among the prunable kernels of the named layers, as a fraction."""
    import numpy as np

    kernels: list[Kernel] = [
        kernel.numpy() for layer in model.layers if layer.name in layers for kernel in prunable(layer)
    ]
    total = sum(kernel.size for kernel in kernels)
    return float(sum(np.count_nonzero(kernel == 0) for kernel in kernels) / total) if total else 0.0
