"""How is a model computed in integers where 8 bits are too few for its activations?

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant_16x8
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt

from edgepack import contracts
from edgepack.contracts import Precision, TechniqueContext, TechniqueResult
from edgepack.techniques._post_training import CALIBRATION_SAMPLES, unchanged

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

PRECISION: Precision = "int16x8"


class Config(contracts.TechniqueConfig):
    """int16 activations and int8 weights: ranges of activations from real samples, no training."""

    use: Literal["int16x8"] = "int16x8"
    calibration_samples: PositiveInt = Field(
        CALIBRATION_SAMPLES, description="training samples that set the ranges of activations"
    )


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Choose int16x8 for the files that the recipe exports in it; the model stays as it is.

    Raises:
        RecipeError: The model carries fake quantisation.
    """
    return unchanged(model, PRECISION, stored="kernel in int8, activations in int16")
