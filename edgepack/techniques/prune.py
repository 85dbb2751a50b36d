"""How are the smallest weights set to zero while the model is trained on?

Magnitude pruning with TFMOT: Zhu & Gupta, "To prune, or not to prune", 1710.01878.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from edgepack.contracts import LayerNote, Promise, TechniqueContext, TechniqueResult
from edgepack.techniques._training import TrainedConfig, identity, train

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

__all__ = ["Config", "apply", "identity"]

Fraction = Annotated[float, Field(gt=0, lt=1)]
Pair = tuple[PositiveInt, PositiveInt]


class Config(TrainedConfig):
    """Magnitude pruning of convolution and dense kernels; a later `cluster` or `qat` keeps the zeros."""

    use: Literal["prune"] = "prune"
    sparsity: PositiveFloat = Field(0.5, lt=1, description="final share of zeros in each pruned kernel, as a fraction")
    layers: dict[str, Fraction] = Field(
        {}, description="other final shares by layer or class name, or pattern of it; the last one that fits counts"
    )
    schedule: Literal["constant", "polynomial"] = Field(
        "polynomial",
        description="constant = full sparsity from `begin` on; polynomial = cubic rise (1710.01878, eq. 1)",
    )
    epochs: PositiveInt = Field(4, description="training epochs of this step")
    begin: NonNegativeFloat = Field(0.0, lt=1, description="start of pruning, as a fraction of the step's training")
    end: PositiveFloat = Field(0.6, le=1, description="final sparsity is reached here, as a fraction of the training")
    pattern: Pair | None = Field(
        None, description="[m, n]: m zeros in every n consecutive input channels, e.g. [2, 4], from the first step on"
    )
    block_size: Pair = Field(
        (1, 1), description="[weights of one output, outputs]: size of the blocks that are zero together"
    )
    block_pooling: Literal["average", "max"] = Field(
        "average", description="what a block is judged by: average or largest absolute weight"
    )
    include: tuple[str, ...] = Field((), description="layer or class names, or patterns of them; none = every layer")
    exclude: tuple[str, ...] = Field((), description="layer or class names, or patterns of them, to leave alone")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> "Config":
        if self.begin >= self.end:
            raise ValueError(f"begin ({self.begin}) must be below end ({self.end})")
        return self

    @model_validator(mode="after")
    def _one_structure(self) -> "Config":
        if self.pattern is None:
            return self
        zeros, group = self.pattern
        if zeros >= group:
            raise ValueError(f"pattern [{zeros}, {group}] must leave weights: the first number below the second")
        fields = type(self).model_fields
        # Defaults say nothing; a key that says something else contradicts the pattern.
        others = [
            key
            for key in ("sparsity", "layers", "schedule", "begin", "end", "block_size", "block_pooling")
            if getattr(self, key) != fields[key].default
        ]
        if others:
            raise ValueError(
                f"pattern fixes sparsity and course by itself; it does not go with {', '.join(sorted(others))}"
            )
        return self


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Prune a float tf_keras model and train it on; the zeros stay when the wrappers are stripped.

    Raises:
        RecipeError: A filter fits no layer, none is left, or the model carries fake quantisation already.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from edgepack.techniques import _pruning
    from edgepack.techniques._kernels import total_sparsity
    from edgepack.techniques._layers import check_patterns, chosen_by, filtered, prepare, require_any, settle

    prepared = prepare(model, "prune")
    check_patterns(prepared.names, tuple(config.layers), key="layers")
    notes = filtered(_notes(prepared.model, config), prepared.names, include=config.include, exclude=config.exclude)
    require_any(notes, "prune")
    wanted = {
        note.layer: next(
            (share for name, share in reversed(config.layers.items()) if chosen_by([name], prepared.names[note.layer])),
            config.sparsity,
        )
        for note in notes
        if note.status == "pruned"
    }
    steps_per_epoch = max(1, -(-len(data.train.y) // context.training.batch_size))
    total = config.epochs * steps_per_epoch

    def wrap(layer: Any) -> Any:
        if layer.name not in wanted:
            return layer
        return _pruning.wrap(
            layer,
            _schedule(config, wanted[layer.name], total),
            pattern=config.pattern,
            block=config.block_size,
            pooling="MAX" if config.block_pooling == "max" else "AVG",
        )

    wrapped = tf_keras.models.clone_model(prepared.model, clone_function=wrap)
    final_epoch = 0 if config.pattern else min(config.epochs - 1, int(config.end * total) // steps_per_epoch)
    trained = train(
        wrapped,
        data,
        config,
        context,
        label="prune",
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
        best_from_epoch=final_epoch,
    )
    pruned = tfmot.sparsity.keras.strip_pruning(wrapped)
    accuracy = settle(pruned, data, known=trained.kept.get("val_accuracy"))
    return TechniqueResult(
        model=pruned,
        quantised=False,
        layers=_with_shares(notes, pruned),
        metrics={
            **trained.metrics,
            "sparsity": total_sparsity(pruned, set(wanted)),
            "val_accuracy_after": accuracy,
        },
        curve=trained.curve,
        rewrites=prepared.rewrites,
        warnings=[*prepared.warnings, *trained.warnings],
        promises=_promises(pruned, wanted, config),
    )


def _notes(model: Any, config: Config) -> list[LayerNote]:
    """What TFMOT can prune, less what the pattern or the blocks do not fit."""
    from edgepack.keras_models import inspect
    from edgepack.techniques._kernels import prunable

    notes = []
    for note in inspect.pruning(model):
        layer = model.get_layer(note.layer)
        if note.class_name == "DepthwiseConv2D":
            note = replace(note, reason="TFMOT prunes no depthwise kernels: they are small, and accuracy hangs on them")
        elif note.status == "pruned":
            reasons = [_misfit(note.class_name, tuple(kernel.shape), config) for kernel in prunable(layer)]
            if any(reasons):
                note = replace(note, status="skipped", reason="; ".join(reason for reason in reasons if reason))
        notes.append(note)
    return notes


def _misfit(kind: str, shape: Sequence[int], config: Config) -> str:
    """Why a kernel of this shape cannot have the pattern or the blocks of the recipe, or an empty string."""
    if config.pattern is not None:
        if len(shape) not in (2, 4) or kind.endswith("Transpose"):
            return f"patterns are made in Conv2D and Dense kernels only, not in those of {kind}"
        if shape[-2] < config.pattern[1]:
            return f"it has {shape[-2]} input channels, fewer than the {config.pattern[1]} of the pattern"
    rows, columns = 1, shape[-1]
    for size in shape[:-1]:
        rows *= size
    if rows < config.block_size[0] or columns < config.block_size[1]:
        return f"its kernel, {rows} x {columns}, is smaller than a block of {_times(config.block_size)}"
    return ""


def zeros_of(shape: Sequence[int], sparsity: float, *, pattern: Pair | None = None, block: Pair = (1, 1)) -> int:
    """How many weights of a kernel of shape (..., inputs, outputs) pruning makes zero, at least."""
    rows = 1
    for size in shape[:-1]:
        rows *= size
    if pattern is not None:
        kept = pattern[1] - pattern[0]
        groups = [min(pattern[1], shape[-2] - first) for first in range(0, shape[-2], pattern[1])]
        return sum(max(0, group - kept) for group in groups) * (rows // shape[-2]) * shape[-1]
    blocks = -(-rows // block[0]) * -(-shape[-1] // block[1])
    # TFMOT rounds the number of blocks that it keeps, keeps one at least, and may keep one more for its threshold.
    kept = (max(1, round(blocks * (1 - sparsity))) + 1) * block[0] * block[1]
    return max(0, rows * shape[-1] - kept)


def _promises(model: Any, wanted: Mapping[str, float], config: Config) -> list[Promise]:
    from edgepack.techniques._kernels import file_shape, prunable

    return [
        Promise(
            name,
            file_shape(layer, tuple(kernel.shape)),
            zeros=zeros_of(tuple(kernel.shape), sparsity, pattern=config.pattern, block=config.block_size),
            pattern=config.pattern,
        )
        for name, sparsity in wanted.items()
        for layer in (model.get_layer(name),)
        for kernel in prunable(layer)
    ]


def _with_shares(notes: Sequence[LayerNote], model: Any) -> list[LayerNote]:
    """Say of each pruned layer what share of its weights is zero."""
    from edgepack.techniques._kernels import total_sparsity

    return [
        replace(note, reason=f"{total_sparsity(model, {note.layer}):.1%} of its weights are zero")
        if note.status == "pruned"
        else note
        for note in notes
    ]


def _schedule(config: Config, sparsity: float, steps: int) -> Any:
    import tensorflow_model_optimization as tfmot

    begin, end = int(config.begin * steps), max(int(config.begin * steps) + 1, int(config.end * steps))
    frequency = max(1, (end - begin) // 50)
    if config.schedule == "constant":
        return tfmot.sparsity.keras.ConstantSparsity(sparsity, begin, -1, frequency)
    # TFMOT updates the masks only at begin + k * frequency, up to and including end: end must be one of these steps.
    end = begin + max(1, (end - begin) // frequency) * frequency
    return tfmot.sparsity.keras.PolynomialDecay(0.0, sparsity, begin, end, power=3, frequency=frequency)


def _times(sizes: Pair) -> str:
    return f"{sizes[0]} x {sizes[1]}"
