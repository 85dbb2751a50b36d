"""How is a model trained so that it stays accurate in 8-bit integers?

Quantisation-aware training: Jacob et al., 1712.05877, on TFMOT's wrappers. Ranges start at what real samples show,
depthwise kernels have a scale for each channel, and what the model is after each epoch is compared with the real file.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from edgepack.contracts import Int8, LayerNote, TechniqueContext, TechniqueResult
from edgepack.techniques._training import TrainedConfig, identity

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

__all__ = ["QUANTISES", "Config", "apply", "identity"]

QUANTISES = True  # from here on, the int8 files are made from this step's model
MONITORED = 64


class Config(TrainedConfig):
    """Quantisation-aware training; zeros and clusters from earlier steps stay."""

    use: Literal["qat"] = "qat"
    epochs: NonNegativeInt = Field(2, description="training epochs of this step; 0 = calibrated ranges only")
    learning_rate: PositiveFloat = Field(1e-4, le=10, description="peak learning rate, cosine decay")
    calibration_samples: NonNegativeInt = Field(
        512, description="training samples that set the first activation ranges; 0 = they start at +-6, as in TFMOT"
    )
    range_decay: NonNegativeFloat = Field(
        0.99, le=1, description="share of an activation range that each training step keeps; 1 = ranges never move"
    )
    batch_normalization: Literal["fold", "freeze", "train"] = Field(
        "fold", description="fold it into the kernels, freeze its statistics and factors, or train it on"
    )
    monitor: bool = Field(True, description="compare the model with the real .tflite after each epoch")
    exclude: tuple[str, ...] = Field((), description="names of layers kept in float")


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Rewrite what cannot be quantised, insert fake quantisation, set the ranges from real samples, then train.

    Raises:
        RecipeError: ``exclude`` names no layer of the model, or no layer can be quantised.
        VerificationError: A range never moved from where all ranges start.
    """
    from edgepack.keras_models import inspect
    from edgepack.keras_models.rewriting import rewrite
    from edgepack.quantization.apply import fake_quantise
    from edgepack.quantization.monitor import gap, monitor
    from edgepack.quantization.ranges import calibrate
    from edgepack.techniques._layers import check_names, refuse_quantised
    from edgepack.techniques._preserve import held
    from edgepack.techniques._training import train
    from edgepack.training.fit import evaluate

    refuse_quantised(model, "qat")
    check_names(model, config.exclude, key="exclude")
    rewritten = rewrite(model, quantisation=True)
    in_float = {name for name, layers in rewritten.origins.items() if set(layers) & set(config.exclude)}
    in_float |= set(config.exclude)
    notes = inspect.quantisation(rewritten.model, in_float=in_float)
    _require_any(notes)
    quantised = fake_quantise(
        rewritten.model, in_float=in_float, batch_normalization=config.batch_normalization, decay=config.range_decay
    )
    ranges = calibrate(quantised, data.calibration(config.calibration_samples))
    watched = data.inputs("validation", MONITORED)
    with held(quantised) as kept:
        trained = train(
            quantised,
            data,
            config,
            context,
            label="qat",
            callbacks=[monitor(quantised, watched, context.progress, data.task)] if config.monitor else [],
        )
    _require_moved(quantised, watched, ranges)
    # The epoch that was kept has been evaluated and converted already.
    after = trained.kept or evaluate(quantised, data)
    found = trained.kept or (gap(quantised, watched, data.task).figures() if config.monitor else {})
    return TechniqueResult(
        model=quantised,
        quantised=True,
        layers=notes,
        metrics={
            "val_accuracy_after": after["val_accuracy"],
            "calibrated_ranges": len(ranges),
            **({"kernels_held": len(kept)} if kept else {}),
            **{name: value for name, value in found.items() if name.startswith("tflite_")},
            **trained.metrics,
        },
        curve=trained.curve,
        rewrites=rewritten.sentences,
        warnings=(*rewritten.warnings, *trained.warnings),
        int8=Int8(tuple(sorted(in_float))),
    )


def _require_any(notes: list[LayerNote]) -> None:
    from edgepack.errors import RecipeError

    if not any(note.status == "quantised" for note in notes):
        reasons = "; ".join(f"{note.layer}: {note.reason}" for note in notes if note.reason)
        raise RecipeError(
            f"compress: `use: qat` found no layer to quantise ({reasons})", fix="see `edgepack doctor MODEL`"
        )


def _require_moved(model: Any, samples: Any, calibrated: Collection[str]) -> None:
    from edgepack.errors import VerificationError
    from edgepack.quantization.ranges import stuck

    found = stuck(model, samples, calibrated=calibrated)
    if found:
        lines = ", ".join(
            f"{item.scale} is at {item.range[0]:.3g} .. {item.range[1]:.3g}, "
            f"samples are in {item.seen[0]:.3g} .. {item.seen[1]:.3g}"
            for item in found[:5]
        )
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise VerificationError(
            f"compress: `use: qat` left {len(found)} activation ranges where every range starts: {lines}{more}",
            fix="set calibration_samples (512 is the default), or train for more epochs with a smaller range_decay",
        )
