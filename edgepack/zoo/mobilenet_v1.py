"""Which network first put depthwise separable convolutions on phones?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveFloat

from edgepack import config
from edgepack.zoo import _applications
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("MobileNet", (224, 224, 3), 1000, 4_253_864, 568_740_352, 16488.4, 4157.1),)


class Config(config.Config):
    """Arguments of `build`."""

    width: PositiveFloat = Field(1.0, le=4, description="factor of all filters: 0.25, 0.5, 0.75 and 1 in the paper")
    dropout: NonNegativeFloat = Field(0.001, lt=1, description="dropout before the classifier, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build MobileNet (1704.04861) for images of at least 32x32; it takes values from -1 to 1."""
    return _applications.build(
        "MobileNet", input_shape=input_shape, classes=classes, alpha=config.width, dropout=config.dropout
    )


def imagenet(config: Config, *, input_shape: tuple[int, ...]) -> _applications.Published:
    """Build it with the weights of ImageNet and without a head; it takes values from -1 to 1."""
    return _applications.imagenet(
        "MobileNet",
        input_shape=input_shape,
        values=(-1.0, 1.0),
        width=config.width,
        widths=(0.25, 0.5, 0.75, 1.0),
        sizes=(128, 160, 192, 224),
        alpha=config.width,
    )
