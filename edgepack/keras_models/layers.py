"""Which layers does edgepack bring itself, because tf_keras has none that TFMOT and TFLite know by one name?"""

from functools import cache
from typing import Any

NAMES = ("HardSigmoid", "HardSwish", "MirrorImages", "MirrorMean")


@cache
def custom_objects() -> dict[str, Any]:
    """The layer classes by name, as ``custom_objects`` of ``tf_keras.models.load_model``.

    They are defined on the first call: a class needs its base class, and TensorFlow is imported by nobody who only
    reads this module.
    """
    import tensorflow as tf
    import tf_keras

    class HardSigmoid(tf_keras.layers.Layer):  # type: ignore[misc] # tf_keras has no type information
        """``relu6(x + 3) / 6``: the gate of MobileNetV3 (Howard et al., 1905.02244); float32, any shape.

        Not ``tf_keras.activations.hard_sigmoid``, which is ``clip(0.2 x + 0.5, 0, 1)``.
        """

        def call(self, inputs: Any) -> Any:
            return tf.nn.relu6(inputs + 3.0) * (1.0 / 6.0)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    class HardSwish(tf_keras.layers.Layer):  # type: ignore[misc] # tf_keras has no type information
        """``x * relu6(x + 3) / 6`` (Howard et al., 1905.02244); float32, any shape.

        Written in the order that TFLite's converter turns into its built-in HARD_SWISH, unless ``fused`` is set to
        False: then in one that it leaves as additions and products, for number formats that lack HARD_SWISH.
        """

        fused = True

        def call(self, inputs: Any) -> Any:
            gate = tf.nn.relu6(inputs + 3.0)
            return inputs * (gate * (1.0 / 6.0)) if self.fused else gate * (inputs * (1.0 / 6.0))

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    class MirrorImages(tf_keras.layers.Layer):  # type: ignore[misc] # tf_keras has no type information
        """Behind the images of a batch (n, height, width, channels) their mirror images, left for right: (2n, ...).

        While training it hands on what it gets. `MirrorMean` makes one answer of two.
        """

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            # A strided slice and not tf.reverse: TFLite's converter carries 8-bit scales through it.
            return inputs if training else tf.concat([inputs, inputs[:, :, ::-1]], axis=0)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (None, *input_shape[1:])

    class MirrorMean(tf_keras.layers.Layer):  # type: ignore[misc] # tf_keras has no type information
        """The mean of what images and their mirror images became: float32 (2n, ...) to (n, ...); see `MirrorImages`."""

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            if training:
                return inputs
            return tf.reduce_mean(tf.reshape(inputs, (2, -1, *inputs.shape[1:])), axis=0)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (None, *input_shape[1:])

    return {layer.__name__: layer for layer in (HardSigmoid, HardSwish, MirrorImages, MirrorMean)}
