"""What is fed to a model that came without samples of its own?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tensors import TensorSpec

SAMPLES = 32
SEED = 0
DESCRIPTION = f"{SAMPLES} samples of noise (seed {SEED}, uniform over the input's range), cycled; no golden samples"


def samples(spec: TensorSpec, count: int = SAMPLES) -> NDArray[Any]:
    """Seeded noise for a model without golden samples.

    Args:
        spec: The input; each sample has its shape, with 1 for a size that may be anything.
        count: How many.

    Returns:
        Shape (count, *spec.shape), in the input's dtype: floats uniform in [0, 1); 8- and 16-bit integers
        over their whole range; wider integers, which are mostly indices, in {0, 1}.
    """
    shape = (count, *(max(size, 1) for size in spec.shape))
    dtype = np.dtype(spec.dtype)
    uniform = _uniform(int(np.prod(shape))).reshape(shape)
    if dtype.kind not in "iu":
        return uniform.astype(dtype)
    if dtype.itemsize > 2 and not spec.quantised:
        return (uniform * 2).astype(dtype)
    limits = np.iinfo(dtype)
    return np.floor(uniform * (float(limits.max) - limits.min + 1) + limits.min).astype(dtype)


def _uniform(count: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) by splitmix64, for images leave numpy.random out."""
    z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(SEED)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) / float(1 << 53)
