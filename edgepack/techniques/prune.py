"""How are the smallest weights set to zero while the model is trained on?

Magnitude pruning with TFMOT: Zhu & Gupta, "To prune, or not to prune", 1710.01878.
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from edgepack import contracts
from edgepack.contracts import LayerNote, TechniqueContext, TechniqueResult

if TYPE_CHECKING:
    from edgepack.dataset import Dataset


class Config(contracts.TechniqueConfig):
    """Magnitude pruning of convolution and dense kernels."""

    use: Literal["prune"] = "prune"
    sparsity: PositiveFloat = Field(0.5, lt=1, description="final share of zeros in each pruned kernel, as a fraction")
    schedule: Literal["constant", "polynomial"] = Field(
        "polynomial",
        description="constant = full sparsity from `begin` on; polynomial = cubic rise (1710.01878, eq. 1)",
    )
    epochs: PositiveInt = Field(4, description="training epochs of this step")
    begin: NonNegativeFloat = Field(0.0, lt=1, description="start of pruning, as a fraction of the step's training")
    end: PositiveFloat = Field(0.6, le=1, description="final sparsity is reached here, as a fraction of the training")
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="peak learning rate, cosine decay")
    exclude: tuple[str, ...] = Field((), description="names of layers left alone")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> "Config":
        if self.begin >= self.end:
            raise ValueError(f"begin ({self.begin}) must be below end ({self.end})")
        return self


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Prune a float tf_keras model and train it on; the zeros stay when the wrappers are stripped.

    Raises:
        RecipeError: ``exclude`` names no layer of the model, or the model carries fake quantisation already.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from edgepack.keras_models import inspect
    from edgepack.techniques._layers import check_names, refuse_quantised
    from edgepack.training.fit import evaluate, fit

    refuse_quantised(model, "prune")
    check_names(model, config.exclude, key="exclude")
    notes = [
        LayerNote(note.layer, note.class_name, "skipped", "excluded by the recipe")
        if note.layer in config.exclude and note.status == "pruned"
        else note
        for note in inspect.pruning(model)
    ]
    chosen = {note.layer for note in notes if note.status == "pruned"}
    before = evaluate(model, data)
    steps_per_epoch = max(1, -(-len(data.train.y) // context.training.batch_size))
    total = config.epochs * steps_per_epoch
    schedule = _schedule(config, total)

    def wrap(layer: Any) -> Any:
        if layer.name not in chosen:
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

    wrapped = tf_keras.models.clone_model(model, clone_function=wrap)
    final_epoch = min(config.epochs - 1, int(config.end * total) // steps_per_epoch)
    fitted = fit(
        wrapped,
        data,
        context.training,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        schedule="cosine",
        seed=context.seed,
        progress=context.progress,
        label="prune",
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
        best_from_epoch=final_epoch,
    )
    pruned = tfmot.sparsity.keras.strip_pruning(wrapped)
    after = evaluate(pruned, data)
    return TechniqueResult(
        model=pruned,
        quantised=False,
        layers=notes,
        metrics={
            "sparsity": sparsity(pruned, chosen),
            "val_accuracy_before": before["val_accuracy"],
            "val_accuracy_after": after["val_accuracy"],
        },
        curve=fitted.curve,
    )


def sparsity(model: Any, layers: set[str]) -> float:
    """Share of zeros among the kernels of the named layers, as a fraction."""
    import numpy as np

    kernels = [
        weight.numpy()
        for layer in model.layers
        if layer.name in layers
        for weight in layer.weights
        if "kernel" in weight.name
    ]
    total = sum(kernel.size for kernel in kernels)
    return float(sum(np.count_nonzero(kernel == 0) for kernel in kernels) / total) if total else 0.0


def _schedule(config: Config, steps: int) -> Any:
    import tensorflow_model_optimization as tfmot

    begin, end = int(config.begin * steps), max(int(config.begin * steps) + 1, int(config.end * steps))
    frequency = max(1, (end - begin) // 50)
    if config.schedule == "constant":
        return tfmot.sparsity.keras.ConstantSparsity(config.sparsity, begin, -1, frequency)
    # TFMOT updates the masks only at begin + k * frequency, up to and including end: end must be one of these steps.
    end = begin + max(1, (end - begin) // frequency) * frequency
    return tfmot.sparsity.keras.PolynomialDecay(0.0, config.sparsity, begin, end, power=3, frequency=frequency)
