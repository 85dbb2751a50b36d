"""How does a model get by with a few distinct weights, which compress well?

Weight clustering: Han et al., "Deep Compression", 1510.00149; trained as in TFMOT, where connections go on choosing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from edgepack.contracts import LayerNote, Promise, TechniqueContext, TechniqueResult
from edgepack.techniques._centroids import Initialization
from edgepack.techniques._training import TrainedConfig, identity, train

if TYPE_CHECKING:
    from edgepack.dataset import Dataset
    from edgepack.techniques._layers import Prepared

__all__ = ["Config", "apply", "identity"]


class Config(TrainedConfig):
    """Few distinct weights in convolution and dense kernels; a later `qat` keeps them few."""

    use: Literal["cluster"] = "cluster"
    clusters: int = Field(16, ge=2, le=256, description="distinct weights in each kernel, zero included")
    per_channel: bool = Field(False, description="`clusters` distinct weights in each output channel, not each kernel")
    initialization: Initialization = Field(
        "density", description="start of k-means: density (quantiles), kmeans++, linear or random"
    )
    preserve_sparsity: bool = Field(True, description="zeros of an earlier pruning step stay zeros")
    epochs: NonNegativeInt = Field(3, description="training epochs of this step; 0 = k-means only")
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="peak learning rate, cosine decay")
    include: tuple[str, ...] = Field((), description="layer or class names, or patterns of them; none = every layer")
    exclude: tuple[str, ...] = Field((), description="layer or class names, or patterns of them, to leave alone")


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Find the centroids of each kernel, then train centroids and what belongs to which.

    Raises:
        RecipeError: A filter fits no layer, none is left, or the model carries fake quantisation already.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from edgepack.channels.statistics import renew
    from edgepack.techniques._clustering import ClusterWeights
    from edgepack.techniques._kernels import clusterable, total_sparsity
    from edgepack.techniques._layers import filtered, prepare, require_any, settle
    from edgepack.techniques._preserve import is_pruned

    prepared = prepare(model, "cluster")
    notes = filtered(_notes(prepared.model, config), prepared.names, include=config.include, exclude=config.exclude)
    require_any(notes, "cluster")
    chosen = {note.layer for note in notes if note.status == "clustered"}
    pruned = {
        name
        for name in chosen
        if any(is_pruned(kernel.numpy()) for kernel in clusterable(prepared.model.get_layer(name)))
    }

    def wrap(layer: Any) -> Any:
        if layer.name not in chosen:
            return layer
        return ClusterWeights(
            layer,
            config.clusters,
            per_channel=config.per_channel,
            keep_zeros=config.preserve_sparsity and layer.name in pruned,
            initialization=config.initialization,
            seed=context.seed,
        )

    wrapped = tf_keras.models.clone_model(prepared.model, clone_function=wrap)
    renew(wrapped, data.calibration(1024))
    # The wrapper keeps zeros by itself, and other clusters than these are none to keep.
    trained = train(wrapped, data, config, context, label="cluster", preserve=False)
    clustered = tfmot.clustering.keras.strip_clustering(wrapped)
    accuracy = settle(clustered, data, known=trained.kept.get("val_accuracy"))
    promises = _promises(clustered, prepared, chosen, pruned, config)
    return TechniqueResult(
        model=clustered,
        quantised=False,
        layers=_with_counts(notes, clustered, config),
        metrics={
            **trained.metrics,
            "clusters": max(_most(clustered.get_layer(name), config) for name in chosen),
            "sparsity": total_sparsity(clustered, chosen),
            "val_accuracy_after": accuracy,
        },
        curve=trained.curve,
        rewrites=prepared.rewrites,
        warnings=[*prepared.warnings, *trained.warnings],
        promises=promises,
    )


def _notes(model: Any, config: Config) -> list[LayerNote]:
    """Which layers have kernels that TFMOT clusters, large enough for so many clusters."""
    from edgepack.keras_models.inspect import require_graph
    from edgepack.techniques._kernels import clusterable, output_axis

    require_graph(model)
    notes = []
    for layer in model.layers:
        kind = type(layer).__name__
        status: Literal["clustered", "skipped"] = "skipped"
        reason = "no kernel that TFMOT clusters"
        if kind == "DepthwiseConv2D":
            reason = "TFMOT clusters no depthwise kernels: they are small, and accuracy hangs on them"
        for kernel in clusterable(layer):
            size = int(kernel.shape.num_elements())
            if config.per_channel:
                size //= kernel.shape[output_axis(layer)]
            status, reason = "clustered", ""
            if size <= config.clusters:
                where = "each of its channels" if config.per_channel else "it"
                status, reason = "skipped", f"{where} has {size} weights, no more than {config.clusters} clusters"
        notes.append(LayerNote(layer.name, kind, status, reason))
    return notes


def _promises(model: Any, prepared: "Prepared", chosen: set[str], pruned: set[str], config: Config) -> list[Promise]:
    import numpy as np

    from edgepack.techniques._kernels import clusterable, file_shape

    promises = []
    for layer in model.layers:
        if layer.name not in chosen:
            continue
        for kernel, source in zip(clusterable(layer), clusterable(prepared.model.get_layer(layer.name)), strict=True):
            zeros = int(np.count_nonzero(kernel.numpy() == 0)) if layer.name in pruned else None
            given_up = layer.name in pruned and not config.preserve_sparsity
            promises.append(
                Promise(
                    layer.name,
                    file_shape(layer, tuple(source.shape)),
                    zeros=0 if given_up else zeros,
                    pattern=(0, 1) if given_up else None,
                    clusters=config.clusters,
                )
            )
    return promises


def _most(layer: Any, config: Config) -> int:
    """Largest number of distinct weights in a kernel of a layer, or in one of its output channels."""
    import numpy as np

    from edgepack.techniques._kernels import clusterable, output_axis

    counts = []
    for kernel in clusterable(layer):
        values = kernel.numpy()
        rows = np.moveaxis(values, output_axis(layer), 0) if config.per_channel else values[None]
        counts += [len(np.unique(row)) for row in rows]
    return max(counts)


def _with_counts(notes: Sequence[LayerNote], model: Any, config: Config) -> list[LayerNote]:
    """Say of each clustered layer how many distinct weights are left."""
    where = "each channel" if config.per_channel else "the kernel"
    return [
        replace(note, reason=f"at most {_most(model.get_layer(note.layer), config)} distinct weights in {where}")
        if note.status == "clustered"
        else note
        for note in notes
    ]
