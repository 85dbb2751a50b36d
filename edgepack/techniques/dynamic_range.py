"""How is a model stored in a quarter of the space with neither training nor samples?

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quant
"""

from typing import TYPE_CHECKING, Any, Literal

from edgepack import contracts
from edgepack.contracts import Precision, TechniqueContext, TechniqueResult
from edgepack.techniques._post_training import unchanged
from edgepack.tflite_models.contents import DYNAMIC_RANGE_WEIGHTS

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

PRECISION: Precision = "dynamic_range"


class Config(contracts.TechniqueConfig):
    """Weights in int8, activations in float32, quantised while the model runs; no training, no samples."""

    use: Literal["dynamic_range"] = "dynamic_range"


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Choose dynamic range for the files that the recipe exports in it; the model stays as it is.

    Raises:
        RecipeError: The model carries fake quantisation.
    """
    return unchanged(model, PRECISION, stored="kernel in int8, activations in float32", smallest=DYNAMIC_RANGE_WEIGHTS)
