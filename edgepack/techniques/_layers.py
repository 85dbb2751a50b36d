"""What do techniques check about a model's layers before they start?"""

from collections.abc import Sequence
from typing import Any

from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean


def is_quantised(model: Any) -> bool:
    """True when TFMOT's fake-quantisation wrappers are in the model."""
    return any(
        type(layer).__name__ in ("QuantizeWrapperV2", "QuantizeWrapper", "QuantizeLayer") for layer in model.layers
    )


def refuse_quantised(model: Any, technique: str) -> None:
    """Refuse a model that carries fake quantisation.

    Raises:
        RecipeError: It does.
    """
    if is_quantised(model):
        raise RecipeError(
            f"compress: `use: {technique}` received a model that is already fake-quantised; expected a float model",
            fix=f"put `use: {technique}` before `use: qat`",
        )


def check_names(model: Any, names: Sequence[str], *, key: str) -> None:
    """Refuse layer names that the model does not have.

    Raises:
        RecipeError: A name is unknown; the nearest one is offered.
    """
    known = [layer.name for layer in model.layers]
    for name in names:
        if name not in known:
            raise RecipeError(
                f"compress: `{key}` names the layer {name!r}, which the model has not; "
                f"its layers are: {', '.join(known)}",
                fix=did_you_mean(name, known) or "use one of the names above",
            )
