"""How is a model stored in half the space without training it?

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_float16_quant
"""

from typing import TYPE_CHECKING, Any, Literal

from edgepack import contracts
from edgepack.contracts import Precision, TechniqueContext, TechniqueResult
from edgepack.techniques._post_training import unchanged

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

PRECISION: Precision = "float16"


class Config(contracts.TechniqueConfig):
    """Weights in float16, computed in float32 or, on a GPU, in float16; no training."""

    use: Literal["float16"] = "float16"


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Choose float16 for the files that the recipe exports in it; the model stays as it is.

    Raises:
        RecipeError: The model carries fake quantisation.
    """
    return unchanged(model, PRECISION, stored="kernel in float16")
