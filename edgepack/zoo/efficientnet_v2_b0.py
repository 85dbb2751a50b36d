"""Which EfficientNet trains faster?"""

from typing import Any

from pydantic import Field, NonNegativeFloat

from edgepack import config
from edgepack.zoo import _applications
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("EfficientNetV2-B0", (224, 224, 3), 1000, 7_200_312, 718_086_176, 27771.1, 7074.1),)


class Config(config.Config):
    """Arguments of `build`."""

    dropout: NonNegativeFloat = Field(0.2, lt=1, description="dropout before the classifier, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build EfficientNetV2-B0 (2104.00298) for images of at least 32x32; it takes values from -1 to 1."""
    model = _applications.build(
        "EfficientNetV2B0", input_shape=input_shape, classes=classes, include_preprocessing=False
    )
    model.get_layer("top_dropout").rate = config.dropout  # the function has no argument for it
    return model


def imagenet(config: Config, *, input_shape: tuple[int, ...]) -> _applications.Published:
    """Build it with the weights of ImageNet and without a head; it takes bytes.

    These weights were trained behind a normalisation by channel, which is part of the network here.
    """
    return _applications.imagenet("EfficientNetV2B0", input_shape=input_shape, values=(0.0, 255.0))
