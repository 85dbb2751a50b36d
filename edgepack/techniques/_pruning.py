"""Which weights of a kernel does pruning take, one by one, in patterns, in blocks?

Patterns are TFMOT's m by n: NVIDIA, "Accelerating sparse deep neural networks", 2104.08378. Imported only where
TensorFlow is wanted.
"""

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_utils, pruning_wrapper


def wrap(
    layer: Any,
    schedule: Any,
    *,
    pattern: tuple[int, int] | None = None,
    block: tuple[int, int] = (1, 1),
    pooling: str = "AVG",
) -> Any:
    """Put TFMOT's pruning wrapper around a layer.

    Args:
        layer: tf_keras layer that TFMOT can prune.
        schedule: TFMOT's pruning schedule; a pattern takes no notice of it.
        pattern: (m, n): m zeros in every n consecutive input channels.
        block: Rows and columns of a block of the kernel, see `Blocks`.
        pooling: What stands for a block: ``AVG`` or ``MAX`` of its absolute weights.
    """
    if pattern is not None:
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule, sparsity_m_by_n=pattern)
    if block == (1, 1):
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)
    return PruneLowMagnitude(layer, schedule, block, pooling)


class PruneLowMagnitude(pruning_wrapper.PruneLowMagnitude):  # type: ignore[misc] # TFMOT has no type information
    """TFMOT's wrapper with blocks in kernels of any rank; it has TFMOT's name, because layers are named after it."""

    def __init__(self, layer: Any, schedule: Any, block: tuple[int, int], pooling: str) -> None:
        super().__init__(layer, schedule)
        self._block, self._pooling = block, pooling

    def build(self, input_shape: Any) -> None:
        """Create masks and thresholds as TFMOT does; the masks are then made of blocks."""
        super().build(input_shape)
        self.pruning_obj = Blocks(
            lambda: self.pruning_step, self.pruning_vars, self.pruning_schedule, self._block, self._pooling
        )


class Blocks(pruning_impl.Pruning):  # type: ignore[misc]
    """Masks of blocks: a kernel of shape (..., outputs) is a matrix with one row for each weight of an output.

    TFMOT refuses kernels that are no matrices, although it would see them the same way.
    """

    def __init__(self, step: Any, variables: Any, schedule: Any, block: tuple[int, int], pooling: str) -> None:
        super().__init__(step, variables, schedule, block, pooling)

    def _validate_block(self) -> None:
        """Every kernel will do."""

    def _maybe_update_block_mask(self, weights: Any) -> tuple[Any, Any]:
        rows, columns = tf.reshape(weights, [-1, weights.shape[-1]]).shape
        matrix = tf.abs(tf.reshape(weights, [rows, columns]))
        pooled = pruning_utils.factorized_pool(
            matrix, self._block_size, self._block_pooling_type, self._block_size, "SAME"
        )
        blocks = [-(-rows // self._block_size[0]), -(-columns // self._block_size[1])]
        threshold, mask = self._update_mask(tf.reshape(pooled, blocks))
        expanded = pruning_utils.expand_tensor(mask, self._block_size)
        return threshold, tf.reshape(expanded[:rows, :columns], weights.shape)
