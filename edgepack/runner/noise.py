"""What is fed to a model that came without samples of its own?"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .tensors import TensorSpec

SAMPLES = 32
SEED = 0
DESCRIPTION = f"{SAMPLES} samples of noise (seed {SEED}, uniform over the input's range), cycled; no golden samples"

LARGEST_MIB = 1024
"""Memory that noise may take; a damaged file can ask for an input of any size."""


def samples(spec: TensorSpec, count: int = SAMPLES) -> NDArray[Any]:
    """Seeded noise for a model without golden samples.

    Args:
        spec: The input; each sample has its shape, with 1 for a size that may be anything.
        count: How many.

    Returns:
        Shape (count, *spec.shape), in the input's dtype: floats uniform in [0, 1); 8- and 16-bit integers
        over their whole range; wider integers, which are mostly indices, in {0, 1}.

    Raises:
        UsageError: They would not fit into memory, or are no numbers.
    """
    shape = (count, *(max(size, 1) for size in spec.shape))
    dtype = np.dtype(spec.dtype)
    needed_mib = math.prod(shape) * 8 / 2**20
    if needed_mib > LARGEST_MIB:
        raise UsageError(
            f"the input {spec.name!r} has the shape {list(spec.shape)}: {count} samples of noise would take "
            f"{needed_mib:,.0f} MiB; expected at most {LARGEST_MIB:,}"
        )
    if dtype.kind not in "fiub":
        raise UsageError(f"the input {spec.name!r} takes {dtype}; noise is made of numbers")
    numbers = uniform(math.prod(shape)).reshape(shape)
    if dtype.kind not in "iu":
        return numbers.astype(dtype)
    if dtype.itemsize > 2 and not spec.quantised:
        return (numbers * 2).astype(dtype)
    limits = np.iinfo(dtype)
    return np.floor(numbers * (float(limits.max) - limits.min + 1) + limits.min).astype(dtype)


def uniform(count: int, seed: int = SEED) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) by splitmix64, for images leave numpy.random out."""
    z = np.arange(1, count + 1, dtype=np.uint64)
    z += np.uint64(seed)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z >>= np.uint64(11)
    return z / float(1 << 53)
