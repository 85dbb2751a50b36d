"""What does fake quantisation do to a tensor, in training and after it?

Quantizers and the configuration of TFMOT's wrapper, on TFMOT's interfaces. What TFMOT's own do not offer: a depthwise
kernel with a scale for each channel, and a range whose moving average is a setting.
Imported only where TensorFlow is wanted.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quant_ops, quantize_config, quantizers
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2

INITIAL = 6.0
"""TFMOT starts every range at +-6."""


class RangeQuantizer(quantizers.Quantizer):  # type: ignore[misc]
    """8-bit activations, asymmetric; the range follows each batch as a moving average.

    Args:
        decay: Share of the old range that is kept at each step, in [0, 1]; 1 = the range never moves.
        low: First lower end.
        high: First upper end.
        scale: Name of the scale; ranges with the same name are set together.
    """

    observer: ClassVar[Callable[["RangeQuantizer", Any], None] | None] = None
    off = False  # hands tensors on, for who asks what a layer's quantisation does

    def __init__(self, decay: float = 0.99, low: float = -INITIAL, high: float = INITIAL, scale: str = "") -> None:
        self.decay, self.low, self.high, self.scale = decay, low, high, scale

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Create the range's two variables, of shape ()."""
        return _range_variables(layer, name, (), self.low, self.high)

    def __call__(self, inputs: Any, training: bool, weights: Mapping[str, Any], **_: Any) -> Any:
        """Round to the 8-bit grid of the range; while there is an observer, show it the tensor and change nothing."""
        if self.off:
            return inputs
        if RangeQuantizer.observer is not None and self.scale:  # a fixed range is part of the function
            RangeQuantizer.observer(self, inputs)
            return inputs
        return quant_ops.MovingAvgQuantize(
            inputs,
            weights["min_var"],
            weights["max_var"],
            ema_decay=self.decay,
            is_training=training and self.decay < 1,
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"decay": self.decay, "low": self.low, "high": self.high, "scale": self.scale}


class KernelQuantizer(quantizers.Quantizer):  # type: ignore[misc]
    """8-bit kernels, symmetric in [-127, 127]; the range is always that of the kernel as it is.

    Args:
        granularity: ``tensor``, ``channel`` (last axis: one scale for each output channel) or ``depthwise`` (last two
            axes together).
    """

    off = False  # as in `RangeQuantizer`

    def __init__(self, granularity: str = "channel") -> None:
        self.granularity = granularity

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Create the range's variables, of shape () or (output channels,)."""
        *_, before, last = tensor_shape
        shape = {"tensor": (), "channel": (last,), "depthwise": (before * last,)}[self.granularity]
        return _range_variables(layer, name, shape, -INITIAL, INITIAL)

    def __call__(self, inputs: Any, training: bool, weights: Mapping[str, Any], **_: Any) -> Any:
        """Round a kernel to its 8-bit grid."""
        if self.off:
            return inputs
        kernel, shape = inputs, inputs.shape
        if self.granularity == "depthwise":  # TensorFlow knows per-channel ranges of the last axis only
            kernel = tf.reshape(kernel, (*shape[:2], 1, shape[2] * shape[3]))
        quantised = quant_ops.LastValueQuantize(
            kernel,
            weights["min_var"],
            weights["max_var"],
            per_channel=self.granularity != "tensor",
            is_training=training,
            symmetric=True,
            narrow_range=True,
        )
        return tf.reshape(quantised, shape) if self.granularity == "depthwise" else quantised

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"granularity": self.granularity}


class LayerQuantizeConfig(quantize_config.QuantizeConfig):  # type: ignore[misc]
    """What TFMOT's wrapper quantises of one layer.

    Args:
        attribute: Name of the layer's kernel, or None.
        granularity: That of its `KernelQuantizer`.
        output: Arguments of the output's `RangeQuantizer`, or None.
    """

    def __init__(
        self, attribute: str | None = None, granularity: str = "channel", output: Mapping[str, Any] | None = None
    ) -> None:
        self.attribute, self.granularity, self.output = attribute, granularity, output
        self._kernel, self._output = KernelQuantizer(granularity), RangeQuantizer(**(output or {}))

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """The kernel, if it is quantised."""
        return [(getattr(layer, self.attribute), self._kernel)] if self.attribute else []

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """None: activations are layers of their own."""
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Let the layer compute with the quantised kernel."""
        if self.attribute:
            setattr(layer, self.attribute, quantize_weights[0])

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """There are none."""
        del layer, quantize_activations  # AutoGraph cannot read a body that is nothing but a docstring

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The output's quantizer, if the layer's tensor has a scale of its own."""
        return [self._output] if self.output is not None else []

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"attribute": self.attribute, "granularity": self.granularity, "output": self.output}


class FreezableQuantizeWrapper(QuantizeWrapperV2):  # type: ignore[misc]
    """TFMOT's wrapper, which trains a kernel even where its layer is not trainable; this one does not."""

    @property
    def trainable_weights(self) -> list[Any]:
        """Weights that training changes."""
        return list(super().trainable_weights) if self.layer.trainable else []

    @property
    def non_trainable_weights(self) -> list[Any]:
        """All others, in the order in which they would be trained."""
        own = list(super().non_trainable_weights)
        held = [] if self.layer.trainable else list(super().trainable_weights)
        return held + [weight for weight in own if not any(weight is other for other in held)]


class Saturation(tf_keras.layers.Layer):  # type: ignore[misc]
    """Hands its input on; the 8-bit grid from ``low`` to ``high`` behind it is what clips.

    Args:
        low: Lower end of the grid.
        high: Upper end.
        **options: As for every layer.
    """

    def __init__(self, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = low, high

    def call(self, inputs: Any) -> Any:
        """The same tensor."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "low": self.low, "high": self.high}


def _range_variables(layer: Any, name: str, shape: tuple[int, ...], low: float, high: float) -> dict[str, Any]:
    constant = tf_keras.initializers.Constant
    return {
        f"{end}_var": layer.add_weight(f"{name}_{end}", shape=shape, initializer=constant(value), trainable=False)
        for end, value in (("min", low), ("max", high))
    }


def custom_objects() -> dict[str, type]:
    """Classes that a saved fake-quantised model names."""
    return {
        kind.__name__: kind
        for kind in (RangeQuantizer, KernelQuantizer, LayerQuantizeConfig, FreezableQuantizeWrapper, Saturation)
    }
