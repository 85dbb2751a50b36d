"""What do the steps share that choose a number format after training, and train nothing?

Such a step is a module with the constant ``PRECISION``. It leaves the model as it is: the converter quantises, when the
files of that precision are made, with what the step's configuration says.
"""

from typing import Any

from edgepack.contracts import LayerNote, Precision, TechniqueResult

CALIBRATION_SAMPLES = 256
"""Training samples from which the ranges of activations are taken, unless a step says otherwise."""


def unchanged(model: Any, precision: Precision, *, stored: str, smallest: int = 0) -> TechniqueResult:
    """The result of a step that leaves the model alone; the accuracy after it is measured on the file.

    Args:
        model: Float tf_keras model.
        precision: The number format that the step stands for.
        stored: How convolution and dense kernels will be stored, for the notes on layers.
        smallest: Kernels with fewer weights stay in float.

    Raises:
        RecipeError: The model carries fake quantisation.
    """
    from edgepack.techniques._layers import refuse_quantised

    refuse_quantised(model, precision)
    return TechniqueResult(
        model=model,
        quantised=False,
        layers=[_note(layer, stored, smallest) for layer in model.layers],
        precision=precision,
    )


def _note(layer: Any, stored: str, smallest: int) -> LayerNote:
    name, kind = layer.name, type(layer).__name__
    sizes = [int(weight.shape.num_elements()) for weight in layer.weights if "kernel" in weight.name]
    if not sizes:
        return LayerNote(name, kind, "passed through", "it has no kernel")
    if max(sizes) < smallest:
        reason = f"its kernel has {max(sizes):,} weights; the converter quantises from {smallest:,} on"
        return LayerNote(name, kind, "skipped", reason)
    return LayerNote(name, kind, "quantised", stored)
