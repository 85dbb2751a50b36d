"""How do the zeros and the clusters of a model's kernels survive further training?

A kernel that an earlier step pruned or clustered is projected back after every update of the optimizer: zeros become
zero again, and weights that were equal become their mean. This is projected gradient descent; with plain gradient
descent it is the training of shared weights of Han et al., "Deep Compression", 1510.00149, section 3.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Kernel = NDArray[np.floating[Any]]

PRUNED_SHARE = 0.05
"""A kernel with more exact zeros than this was pruned: training alone leaves none."""

CLUSTERED_SHARE = 0.98
"""A kernel whose weights have fewer distinct values than this share was clustered: training leaves hardly two equal."""

LOOKED_AT = 100_000
"""Weights of a kernel that are looked at, at most, to tell whether it was clustered."""


def zero_share(kernel: "Kernel") -> float:
    """Share of weights that are exactly zero, as a fraction."""
    return float((kernel == 0).mean()) if kernel.size else 0.0


def unique_values(kernel: "Kernel") -> int:
    """Number of distinct values in a whole kernel."""
    import numpy as np

    return len(np.unique(kernel))


def is_pruned(kernel: "Kernel") -> bool:
    """True when an earlier step must have written the zeros of this kernel."""
    return zero_share(kernel) > PRUNED_SHARE


def is_clustered(kernel: "Kernel") -> bool:
    """True when an earlier step must have made the weights of this kernel equal, zeros aside."""
    import numpy as np

    others = kernel[kernel != 0][:LOOKED_AT]
    return bool(len(np.unique(others)) < CLUSTERED_SHARE * others.size)


@contextmanager
def held(model: Any) -> Iterator[list[str]]:
    """While open, training keeps the zeros and the clusters that the model's kernels have now.

    It works on plain and on fake-quantised models, and adds no variable to either.

    Args:
        model: tf_keras model; its variables carry a constraint while the context is open, which optimizers apply.

    Yields:
        For each kernel that is held: ``zeros``, ``clusters`` or ``zeros and clusters``.
    """
    kept: list[str] = []
    before: list[tuple[Any, Any]] = []
    for variable in model.trainable_weights:
        if len(variable.shape) < 2 or getattr(variable.constraint, "holds", False):
            continue  # a vector, or held already by whoever called
        kernel = variable.numpy()
        pruned, clustered = is_pruned(kernel), is_clustered(kernel)
        if not pruned and not clustered:
            continue
        kept.append(" and ".join(word for word, there in (("zeros", pruned), ("clusters", clustered)) if there))
        before.append((variable, variable.constraint))
        variable._constraint = _projection(kernel, variable.constraint, clustered=clustered)
    try:
        yield kept
    finally:
        for variable, constraint in before:
            variable._constraint = constraint


def _projection(kernel: "Kernel", own: Any, *, clustered: bool) -> Any:
    """A constraint that puts a kernel back on its zeros and clusters, after the layer's own constraint."""
    import numpy as np
    import tensorflow as tf

    mask = tf.constant(kernel != 0)
    values, group = np.unique(kernel, return_inverse=True)
    groups, counts = tf.constant(group.reshape(-1), tf.int32), tf.constant(np.bincount(group.reshape(-1)), tf.float32)

    def project(weights: Any) -> Any:
        if own is not None:
            weights = own(weights)
        if clustered:
            sums = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1]), groups, len(values))
            weights = tf.reshape(tf.gather(sums / counts, groups), tf.shape(weights))
        return tf.where(mask, weights, tf.zeros_like(weights))

    project.holds = True  # type: ignore[attr-defined]
    return project
