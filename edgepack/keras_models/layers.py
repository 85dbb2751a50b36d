"""Which layers does edgepack bring itself, because tf_keras has none that TFMOT and TFLite know by one name?"""

from functools import cache
from typing import Any

NAMES = ("HardSigmoid", "HardSwish")


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

    return {"HardSigmoid": HardSigmoid, "HardSwish": HardSwish}
