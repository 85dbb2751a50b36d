"""How do the channels of a network get ranges that 8 bits can hold, without training it?

Cross-layer equalisation: Nagel et al., 1906.04721.
"""

from typing import TYPE_CHECKING, Any, Literal

from edgepack import contracts
from edgepack.contracts import TechniqueContext, TechniqueResult

if TYPE_CHECKING:
    from edgepack.dataset import Dataset


class Config(contracts.TechniqueConfig):
    """Cross-layer equalisation, for post-training int8 of networks with depthwise convolutions; no training."""

    use: Literal["equalise"] = "equalise"


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Fold BatchNormalization and balance the ranges of the channels between neighbouring layers.

    The model computes the same as before, to rounding.

    Raises:
        RecipeError: The model carries fake quantisation, or has no two layers between which a factor can move.
    """
    from edgepack.errors import RecipeError
    from edgepack.keras_models.rewriting import rewrite
    from edgepack.quantization.equalise import equalised
    from edgepack.techniques._layers import passed_through, refuse_quantised
    from edgepack.training.fit import evaluate

    refuse_quantised(model, "equalise")
    rewritten = rewrite(model, quantisation=True)
    made, pairs = equalised(rewritten.model)
    if not pairs:
        raise RecipeError(
            f"compress: `use: equalise` found no two layers of {model.name!r} with nothing but ReLU, pooling or "
            "padding between them",
            fix="leave it out; ReLU6 and swish do not let a factor through",
        )
    notes = {pair.second: f"takes over the factors of {pair.first}" for pair in pairs}
    for pair in pairs:
        notes[pair.first] = f"ranges of its channels: {pair.before:.3g} to 1 before, {pair.after:.3g} to 1 now"
    return TechniqueResult(
        model=made,
        quantised=False,
        layers=passed_through(made, notes),
        metrics={"val_accuracy_after": evaluate(made, data)["val_accuracy"], "equalised_pairs": len(pairs)},
        rewrites=rewritten.sentences,
        warnings=rewritten.warnings,
    )
