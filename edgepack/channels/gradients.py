"""What are the gradients of a model's loss on training batches?"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edgepack.channels.importance import Gradients
from edgepack.channels.symbols import Channels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def gradients(
    model: Any,
    channels: Channels,
    x: "NDArray[np.float32]",
    y: "NDArray[np.generic]",
    loss: Callable[[Any, Any], Any],
    *,
    batch_size: int = 32,
) -> Iterator[Gradients]:
    """Gradients of the loss for the weights that sum over channels, one dict for each batch.

    The model computes as in use: with its moving statistics and without dropout.

    Args:
        model: The tf_keras model that ``channels`` was traced on.
        channels: Says which weights sum over channels.
        x: float32 model inputs of shape (n, ...).
        y: What the outputs are held against: the task's targets, of shape (n, ...).
        loss: The task's loss of targets and outputs.
        batch_size: Samples of one gradient.
    """
    import tensorflow as tf

    keys = sorted({(part.node, part.weight) for part in channels.slices if part.role == "takes"})
    variables = [model.get_layer(node).weights[index] for node, index in keys]
    for start in range(0, len(y), batch_size):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            value = loss(y[start : start + batch_size], model(x[start : start + batch_size], training=False))
        found = tape.gradient(value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        yield {key: gradient.numpy() for key, gradient in zip(keys, found, strict=True)}
