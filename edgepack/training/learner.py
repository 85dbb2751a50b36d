"""Which copy of a model is trained, when that is not done in float32 on one device?"""

from typing import Any

from edgepack.training.config import Training

KEPT_IN_FLOAT32 = ("Normalization", "Rescaling")
"""Layers at the entrance: raw values can be larger than float16 goes."""


def learner(model: Any, training: Training, strategy: Any) -> Any:
    """The model itself, or a copy with the same weights that computes in 16 bits or lives on several devices.

    Weights are float32 in either case, in the same order.

    Args:
        model: tf_keras model, TFMOT's wrappers included.
        training: ``precision`` and ``batch_normalization`` count.
        strategy: `tf.distribute.Strategy`, or None for one device.
    """
    if training.precision != "float32" or strategy is not None:
        model = _copy(model, training.precision, strategy)
    for layer in model._flatten_layers():
        if type(layer).__name__ != "BatchNormalization":
            continue
        if training.batch_normalization.momentum is not None:
            layer.momentum = training.batch_normalization.momentum
        if strategy is not None and training.batch_normalization.synchronized:
            # As `BatchNormalization(synchronized=True)`; the fused kernel knows no other device.
            layer.synchronized, layer.fused = True, False
    return model


def _copy(model: Any, precision: str, strategy: Any) -> Any:
    from contextlib import nullcontext

    import tensorflow_model_optimization as tfmot
    import tf_keras

    from edgepack.keras_models import custom, layers
    from edgepack.quantization import quantizers

    last = model.layers[-1]

    def copied(layer: Any) -> Any:
        config = layer.get_config()
        if precision != "float32" and layer is not last and type(layer).__name__ not in KEPT_IN_FLOAT32:
            config["dtype"] = precision
        return type(layer).from_config(config)

    own = {**layers.custom_objects(), **quantizers.custom_objects(), **custom.in_use()}
    with (
        tfmot.quantization.keras.quantize_scope(own),
        tfmot.sparsity.keras.prune_scope(),
        strategy.scope() if strategy is not None else nullcontext(),
    ):
        copy = tf_keras.models.clone_model(model, clone_function=copied)
        copy.set_weights(model.get_weights())
    for old, new in zip(model.trainable_weights, copy.trainable_weights, strict=True):
        if getattr(old, "constraint", None) is not None:
            for variable in getattr(new, "values", (new,)):
                variable._constraint = old.constraint
    return copy
