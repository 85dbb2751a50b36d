"""Which network is the base that EfficientNets are scaled from?"""

from typing import Any

from pydantic import Field, NonNegativeFloat

from edgepack import config
from edgepack.zoo import _applications
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("EfficientNet-B0", (224, 224, 3), 1000, 5_330_571, 385_814_752, 20576.4, 5235.9),)


class Config(config.Config):
    """Arguments of `build`."""

    dropout: NonNegativeFloat = Field(0.2, lt=1, description="dropout before the classifier, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build EfficientNet-B0 (1905.11946) for images of at least 32x32; it takes bytes and scales them by itself."""
    model = _applications.build("EfficientNetB0", input_shape=input_shape, classes=classes)
    model.get_layer("top_dropout").rate = config.dropout  # the function has no argument for it
    return model


def imagenet(config: Config, *, input_shape: tuple[int, ...]) -> _applications.Published:
    """Build it with the weights of ImageNet and without a head; it takes bytes."""
    return _applications.imagenet("EfficientNetB0", input_shape=input_shape, values=(0.0, 255.0))
