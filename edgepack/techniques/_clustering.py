"""How does a layer train with a few weights that all its connections share?

On TFMOT's clustering wrapper. Imported only where TensorFlow is wanted.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.clustering.keras import cluster_wrapper

from edgepack.techniques._centroids import Initialization, table
from edgepack.techniques._kernels import output_axis


class ClusterWeights(cluster_wrapper.ClusterWeights):  # type: ignore[misc] # TFMOT has no type information
    """TFMOT's wrapper, with other centroids behind it.

    As in TFMOT, the layer keeps its own kernel and computes with that kernel's nearest centroids; gradients reach both.
    What TFMOT's own cannot do: channels with fewer weights than clusters, or with zeros only; per-channel clusters in
    layers other than Conv2D; a kernel with many channels in reasonable time.

    Args:
        layer: Layer with kernels that TFMOT clusters.
        clusters: Distinct weights that may remain, zero included.
        per_channel: Each output channel has clusters of its own.
        keep_zeros: Weights that are zero now stay zero, and zero is one of the clusters.
        initialization: Where k-means starts.
        seed: Seed of the starts that are drawn.
    """

    def __init__(
        self,
        layer: Any,
        clusters: int,
        *,
        per_channel: bool,
        keep_zeros: bool,
        initialization: Initialization,
        seed: int,
    ) -> None:
        super().__init__(layer, clusters)
        self._options = (clusters, per_channel, keep_zeros, initialization, seed)
        self._shared: dict[str, Shared] = {}

    def build(self, input_shape: Any) -> None:
        """Find the centroids of each kernel as it is now; they are trained from here on."""
        tf_keras.layers.Wrapper.build(self, input_shape)
        self.build_input_shape = input_shape
        for name, kernel in self.layer.get_clusterable_weights():
            # TFMOT's way to put the kernel back when the wrapper is stripped.
            self.original_clusterable_weights[name] = kernel
            setattr(self, f"original_weight_{name}", kernel)
            position = next(index for index, weight in enumerate(self.layer.weights) if weight is kernel)
            self.position_original_weights[position] = name
            self._shared[name] = Shared(self, name, kernel.numpy(), *self._options)
            self.cluster_centroids[name] = self._shared[name].centroids

    def update_clustered_weights_associations(self) -> None:
        """Give the layer its kernels' nearest centroids to compute with."""
        for name, kernel in self.original_clusterable_weights.items():
            self.set_weight_to_layer(name, self._shared[name](kernel))


class Shared:
    """The centroids of one kernel, as a trainable variable of shape (1 or output channels, centroids)."""

    def __init__(
        self,
        wrapper: ClusterWeights,
        name: str,
        kernel: Any,
        clusters: int,
        per_channel: bool,
        keep_zeros: bool,
        initialization: Initialization,
        seed: int,
    ) -> None:
        outputs = kernel.ndim + output_axis(wrapper.layer)
        # Output channels to the front, and back again.
        self._front = [outputs, *(axis for axis in range(kernel.ndim) if axis != outputs)]
        self._back = [int(axis) for axis in np.argsort(self._front)]
        self._rows = kernel.shape[outputs] if per_channel else 1
        zeros = keep_zeros and bool((kernel == 0).any())
        self._mask = tf.constant(kernel != 0, tf.float32) if zeros else None
        start = table(
            np.transpose(kernel, self._front).reshape(self._rows, -1),
            clusters - 1 if zeros else clusters,
            initialization,
            seed,
            skip_zeros=zeros,
        )
        self.centroids = wrapper.add_weight(
            f"cluster_centroids_{name}",
            shape=start.shape,
            initializer=tf_keras.initializers.Constant(start),
            trainable=True,
        )

    def __call__(self, kernel: Any) -> Any:
        """The kernel, each weight replaced by its nearest centroid; the gradient reaches both unchanged."""
        kernel = tf.convert_to_tensor(kernel)
        rows = tf.reshape(tf.transpose(kernel, self._front), [self._rows, -1])
        values = tf.sort(self.centroids, axis=-1)
        # Beyond every weight: a table of one centroid has a boundary, too.
        last = tf.fill([self._rows, 1], tf.constant(np.inf, values.dtype))
        boundaries = tf.concat([(values[:, 1:] + values[:, :-1]) / 2, last], axis=-1)
        index = tf.searchsorted(tf.stop_gradient(boundaries), tf.stop_gradient(rows))
        # One flat table: its gradient is several times faster than that of a gather with batches.
        index += tf.range(self._rows)[:, None] * values.shape[-1]
        nearest = tf.gather(tf.reshape(values, [-1]), index)
        front = [kernel.shape[axis] for axis in self._front]
        clustered = tf.transpose(tf.reshape(nearest, front), self._back)
        if self._mask is not None:
            clustered *= self._mask
        return _straight_through(clustered, kernel)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _straight_through(clustered: Any, kernel: Any) -> Any:
    """``clustered``, with a gradient for the kernel as well, which decides what is nearest (1308.3432)."""
    return tf.identity(clustered), lambda gradient: (gradient, gradient)
