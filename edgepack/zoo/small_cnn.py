"""What is the smallest convolutional network that is worth shipping for small images?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from edgepack import config
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("Small CNN", (28, 28, 1), 10, 5274, 1_016_384, 20.0, 5.2),)


class Config(config.Config):
    """Arguments of `build`."""

    filters: tuple[PositiveInt, ...] = Field((16, 32), description="filters of each 3x3 convolution")
    dropout: NonNegativeFloat = Field(0.0, lt=1, description="dropout before the classifier, as a fraction")
    batch_normalization: bool = Field(True, description="BatchNormalization behind each convolution; without, a bias")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build convolution, BatchNormalization, ReLU blocks; the second and later ones halve the image.

    Args:
        config: Filters, dropout, BatchNormalization.
        input_shape: (height, width, channels).
        classes: Outputs of the softmax.
    """
    from tf_keras import Sequential, layers

    model = Sequential(name="small_cnn")
    model.add(layers.InputLayer(input_shape, name="image"))
    for index, filters in enumerate(config.filters):
        stride, bias = 1 if index == 0 else 2, not config.batch_normalization
        model.add(layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=bias, name=f"conv{index}"))
        if config.batch_normalization:
            model.add(layers.BatchNormalization(name=f"conv{index}_bn"))
        model.add(layers.ReLU(name=f"conv{index}_relu"))
    model.add(layers.GlobalAveragePooling2D(name="pool"))
    if config.dropout:
        model.add(layers.Dropout(config.dropout, name="dropout"))
    model.add(layers.Dense(classes, name="classifier"))
    model.add(layers.Softmax(name="softmax"))
    return model
