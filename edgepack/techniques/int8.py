"""How is a model computed in 8-bit integers throughout without training it?

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt

from edgepack import contracts
from edgepack.contracts import Precision, TechniqueContext, TechniqueResult
from edgepack.techniques._post_training import CALIBRATION_SAMPLES, unchanged

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

PRECISION: Precision = "int8"


class Config(contracts.TechniqueConfig):
    """Full int8 after training: ranges of activations from real samples, no training."""

    use: Literal["int8"] = "int8"
    calibration_samples: PositiveInt = Field(
        CALIBRATION_SAMPLES, description="training samples that set the ranges of activations"
    )


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Choose calibrated int8 for the files that the recipe exports in it; the model stays as it is.

    Raises:
        RecipeError: The model carries fake quantisation.
    """
    return unchanged(model, PRECISION, stored="kernel and activations in int8")
