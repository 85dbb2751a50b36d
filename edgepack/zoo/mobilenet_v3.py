"""Which network was searched for phones: hard-swish, squeeze-and-excite, a short end?"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from edgepack import config
from edgepack.zoo import _applications
from edgepack.zoo._reference import Reference

REFERENCES = (
    Reference("MobileNetV3-Small", (224, 224, 3), 1000, 2_554_968, 56_510_400, 9909.4, 2509.5, {"size": "small"}),
    Reference("MobileNetV3-Large", (224, 224, 3), 1000, 5_507_432, 216_589_760, 21370.4, 5399.9, {"size": "large"}),
)


class Config(config.Config):
    """Arguments of `build`."""

    size: Literal["small", "large"] = Field("small", description="small or large")
    width: PositiveFloat = Field(1.0, le=4, description="factor of all filters: 0.75 and 1 in the paper")
    minimalistic: bool = Field(False, description="no squeeze-and-excite, no hard-swish, no 5x5 kernels")
    dropout: NonNegativeFloat = Field(0.2, lt=1, description="dropout before the classifier, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build MobileNetV3 (1905.02244) for images of at least 32x32; it takes values from -1 to 1."""
    return _applications.build(
        f"MobileNetV3{config.size.title()}",
        input_shape=input_shape,
        classes=classes,
        alpha=config.width,
        minimalistic=config.minimalistic,
        dropout_rate=config.dropout,
        include_preprocessing=False,
    )


def imagenet(config: Config, *, input_shape: tuple[int, ...]) -> _applications.Published:
    """Build it with the weights of ImageNet and without a head; it takes values from -1 to 1."""
    return _applications.imagenet(
        f"MobileNetV3{config.size.title()}",
        input_shape=input_shape,
        values=(-1.0, 1.0),
        width=config.width,
        widths=(1.0,) if config.minimalistic else (0.75, 1.0),
        alpha=config.width,
        minimalistic=config.minimalistic,
        include_preprocessing=False,
    )
