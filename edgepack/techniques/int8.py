"""How is a model computed in 8-bit integers without training it, and which layers must be left out to stay accurate?

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgepack import contracts
from edgepack.contracts import Int8, Precision, TechniqueContext, TechniqueResult
from edgepack.techniques._post_training import CALIBRATION_SAMPLES, unchanged

if TYPE_CHECKING:
    from edgepack.dataset import Dataset
    from edgepack.quantization.repair import Repaired
    from edgepack.quantization.sensitivity import Sensitivity

PRECISION: Precision = "int8"


class Config(contracts.TechniqueConfig):
    """Full int8 after training: ranges of activations from real samples, no training."""

    use: Literal["int8"] = "int8"
    calibration_samples: PositiveInt = Field(
        CALIBRATION_SAMPLES, description="training samples that set the ranges of activations"
    )
    exclude: tuple[str, ...] = Field((), description="names of layers kept in float")
    correct_bias: bool = Field(
        False, description="let biases make up for the mean error of their channels (1906.04721, section 4.2)"
    )
    repair: NonNegativeInt = Field(
        4,
        description="where gates.max_accuracy_drop is missed on the validation samples, up to so many layers with a "
        "kernel go back to float; 0 = none",
    )


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Choose calibrated int8 for the files that the recipe exports in it; the model stays as it is.

    Raises:
        RecipeError: The model carries fake quantisation, or ``exclude`` names no layer of it.
    """
    from edgepack.quantization.repair import repair
    from edgepack.techniques._layers import check_names

    result = unchanged(model, PRECISION, stored="kernel and activations in int8")
    check_names(model, config.exclude, key="exclude")
    limit = context.max_accuracy_drop
    if limit is None or not config.repair:
        return _noted(result, config, config.exclude)
    repaired = repair(
        model,
        data,
        data.calibration(config.calibration_samples),
        max_drop=limit,
        max_layers=config.repair,
        in_float=config.exclude,
        correct_bias=config.correct_bias,
        progress=context.progress,
    )
    return replace(
        _noted(result, config, repaired.in_float, repaired.ranking),
        metrics={
            "val_accuracy_int8": repaired.tried[0].figure,
            "float_layers": len(repaired.in_float),
            "ranking": [{**vars(item), "sqnr_db": item.sqnr_db} for item in repaired.ranking],
            "tried": [vars(item) for item in repaired.tried],
        },
        warnings=_warnings(repaired, limit, config.repair),
    )


def _warnings(repaired: "Repaired", limit: float, most: int) -> Sequence[str]:
    """What to say of layers that were given up, and of a gate that is still missed."""
    lost = f"{100 * (repaired.baseline - repaired.tried[0].figure):.2f} points"
    if repaired.holds and repaired.ranking:
        return [f"full int8 loses {lost} on the validation samples; in float now: {', '.join(repaired.in_float)}"]
    if not repaired.holds:
        found = f"full int8 loses {lost} on the validation samples, and {most} layers in float are not enough to lose"
        return [f"{found} at most {100 * limit:.2f}: raise `repair`, or use `qat`"]
    return []


def _noted(
    result: TechniqueResult, config: Config, in_float: Sequence[str], ranking: "Sequence[Sensitivity]" = ()
) -> TechniqueResult:
    """The result with the layers that stay in float, and a note on each; where layers were ranked, on every one."""
    why = {True: "kept in float by the recipe", False: "kept in float to hold the gate"}
    notes = []
    for note in result.layers:
        alone = [f"{item.part} {item.sqnr_db:.1f} dB" for item in ranking if item.layer == note.layer]
        noise = [f"signal to noise with nothing but this in 8 bits: {', '.join(alone)}"] if alone else []
        if note.layer in in_float:
            kept = why[note.layer in config.exclude]
            notes.append(replace(note, status="passed through", reason="; ".join([kept, *noise])))
        else:
            notes.append(replace(note, reason="; ".join([note.reason, *noise]).removeprefix("; ")))
    return replace(result, layers=notes, int8=Int8(tuple(in_float), config.correct_bias))
