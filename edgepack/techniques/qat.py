"""How is a model trained so that it stays accurate in 8-bit integers?

Quantisation-aware training with TFMOT's default 8-bit scheme: Jacob et al., 1712.05877.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgepack import contracts
from edgepack.contracts import TechniqueContext, TechniqueResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgepack.dataset import Dataset


class Config(contracts.TechniqueConfig):
    """Quantisation-aware training; zeros from an earlier pruning step stay zeros."""

    use: Literal["qat"] = "qat"
    epochs: NonNegativeInt = Field(2, description="training epochs of this step; 0 = calibrated ranges only")
    learning_rate: PositiveFloat = Field(1e-4, le=10, description="peak learning rate, cosine decay")
    calibration_samples: PositiveInt = Field(512, description="training samples that set the first activation ranges")
    exclude: tuple[str, ...] = Field((), description="names of layers kept in float")


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Insert fake quantisation, set the activation ranges from real samples, then train.

    TFMOT starts every range at +-6 and moves it by 0.1 % a step, so that short training leaves ranges that mean
    nothing; here each starts at the smallest and largest value seen on ``calibration_samples``.

    Raises:
        RecipeError: ``exclude`` names no layer of the model, or no layer can be quantised.
    """
    from edgepack.contracts import LayerNote
    from edgepack.errors import RecipeError
    from edgepack.keras_models import inspect
    from edgepack.techniques._layers import check_names, refuse_quantised
    from edgepack.training.fit import evaluate, fit

    refuse_quantised(model, "qat")
    check_names(model, config.exclude, key="exclude")
    before = evaluate(model, data)
    notes = [
        LayerNote(note.layer, note.class_name, "passed through", "kept in float by the recipe")
        if note.layer in config.exclude
        else note
        for note in inspect.quantisation(model)
    ]
    if not any(note.status == "quantised" for note in notes):
        reasons = "; ".join(f"{note.layer}: {note.reason}" for note in notes if note.reason)
        raise RecipeError(
            f"compress: `use: qat` found no layer to quantise ({reasons})", fix="see `edgepack doctor MODEL`"
        )
    left_alone = {note.layer for note in notes if note.status == "blocked"} | set(config.exclude)
    quantised = fake_quantise(model, left_alone, keep_zeros=_has_zeros(model))
    ranges = calibrate(quantised, data.calibration(config.calibration_samples))
    fitted = fit(
        quantised,
        data,
        context.training,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        schedule="cosine",
        seed=context.seed,
        progress=context.progress,
        label="qat",
    )
    after = evaluate(quantised, data)
    return TechniqueResult(
        model=quantised,
        quantised=True,
        layers=notes,
        metrics={
            "val_accuracy_before": before["val_accuracy"],
            "val_accuracy_after": after["val_accuracy"],
            "calibrated_ranges": len(ranges),
        },
        curve=fitted.curve,
    )


def fake_quantise(model: Any, left_alone: set[str], *, keep_zeros: bool) -> Any:
    """Return a copy of the model with TFMOT's fake-quantisation wrappers.

    Args:
        model: Float tf_keras model, Sequential or Functional.
        left_alone: Names of layers that stay in float.
        keep_zeros: Use the scheme that holds zero weights at zero (PQAT).
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    quantization = tfmot.quantization.keras

    def annotate(layer: Any) -> Any:
        if layer.name in left_alone or isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        return quantization.quantize_annotate_layer(layer)

    annotated = tf_keras.models.clone_model(model, clone_function=annotate)
    if keep_zeros:
        return quantization.quantize_apply(
            annotated, tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
        )
    return quantization.quantize_apply(annotated)


def calibrate(model: Any, samples: "NDArray[np.float32]", *, batch_size: int = 128) -> dict[str, tuple[float, float]]:
    """Set every range of a fake-quantised model: of weights from the weights, of activations from real samples.

    Args:
        model: Model from `fake_quantise`; changed in place.
        samples: float32 model inputs of shape (n, ...).
        batch_size: Samples per forward pass.

    Returns:
        Smallest and largest value of each quantised tensor, by the name of its range variable; 0 is always inside.
    """
    # TFMOT starts weight ranges at +-6 as well: left there, the samples would meet weights in steps of 0.05.
    for layer in model.layers:
        for weight, quantizer, variables in getattr(layer, "_weight_vars", ()):
            quantizer(weight, training=True, weights=variables)
    seen: dict[int, tuple[Any, float, float]] = {}
    with _observed(seen):
        for start in range(0, len(samples), batch_size):
            model(samples[start : start + batch_size], training=False)
    ranges = {}
    for weights, low, high in seen.values():
        weights["min_var"].assign(low)
        weights["max_var"].assign(high)
        ranges[weights["min_var"].name.removesuffix("_min:0")] = (low, high)
    return ranges


@contextmanager
def _observed(seen: dict[int, tuple[Any, float, float]]) -> Iterator[None]:
    """While open, activation quantisers record the range of what they are given and pass it on unchanged."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    def observe(self: Any, inputs: Any, training: Any, weights: Any, **_: Any) -> Any:
        _, low, high = seen.get(id(weights["min_var"]), (weights, 0.0, 0.0))
        low, high = min(low, float(tf.reduce_min(inputs))), max(high, float(tf.reduce_max(inputs)))
        seen[id(weights["min_var"])] = (weights, low, max(high, low + 1e-6))
        return inputs

    kinds = (quantizers.MovingAverageQuantizer, quantizers.AllValuesQuantizer)
    originals = [kind.__call__ for kind in kinds]
    for kind in kinds:
        kind.__call__ = observe
    try:
        yield
    finally:
        for kind, original in zip(kinds, originals, strict=True):
            kind.__call__ = original


def _has_zeros(model: Any, share: float = 0.05) -> bool:
    """True when some kernel holds enough exact zeros that an earlier step must have pruned it."""
    import numpy as np

    kernels = [weight.numpy() for weight in model.trainable_weights if "kernel" in weight.name]
    return any(np.count_nonzero(kernel == 0) > share * kernel.size for kernel in kernels)
