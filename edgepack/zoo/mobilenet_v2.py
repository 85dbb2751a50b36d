"""Which network has inverted residuals and linear bottlenecks?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveFloat

from edgepack import config
from edgepack.zoo import _applications
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("MobileNetV2", (224, 224, 3), 1000, 3_538_984, 300_774_272, 13624.3, 3459.0),)


class Config(config.Config):
    """Arguments of `build`."""

    width: PositiveFloat = Field(1.0, le=4, description="factor of all filters: 0.35 to 1.4 in the paper")
    dropout: NonNegativeFloat = Field(0.0, lt=1, description="dropout before the classifier, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build MobileNetV2 (1801.04381) for images of at least 32x32; it takes values from -1 to 1."""
    model = _applications.build("MobileNetV2", input_shape=input_shape, classes=classes, alpha=config.width)
    if not config.dropout:
        return model
    from tf_keras import Model, layers

    pool, classifier = model.layers[-2:]
    x = layers.Dropout(config.dropout, name="dropout")(pool.output)
    return Model(model.input, layers.Dense.from_config(classifier.get_config())(x), name=model.name)


def imagenet(config: Config, *, input_shape: tuple[int, ...]) -> _applications.Published:
    """Build it with the weights of ImageNet and without a head; it takes values from -1 to 1."""
    return _applications.imagenet(
        "MobileNetV2",
        input_shape=input_shape,
        values=(-1.0, 1.0),
        width=config.width,
        widths=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        sizes=(96, 128, 160, 192, 224),
        alpha=config.width,
    )
