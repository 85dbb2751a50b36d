"""What is the residual network that MLPerf Tiny uses for image classification?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from edgepack import config
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("ResNet-8", (32, 32, 3), 10, 78_666, 12_501_632, 303.5, 76.9),)


class Config(config.Config):
    """Arguments of `build`."""

    width: PositiveInt = Field(16, description="filters of the first stage; each later stage has twice as many")
    dropout: NonNegativeFloat = Field(0.0, lt=1, description="dropout before the classifier, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build ResNet-8: a stem and three residual stages (MLPerf Tiny, 2106.07597; blocks as in 1512.03385).

    As in MLPerf Tiny's reference, convolutions have biases although BatchNormalization follows them, and the shortcuts
    have no BatchNormalization.

    Args:
        config: Width, dropout; width 16 gives the reference's 78,666 parameters for 32x32x3 inputs and 10 classes.
        input_shape: (height, width, channels).
        classes: Outputs of the softmax.
    """
    from tf_keras import Input, Model, layers

    def convolution(x: Any, filters: int, stride: int, name: str) -> Any:
        x = layers.Conv2D(filters, 3, strides=stride, padding="same", name=f"{name}_conv")(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    inputs = Input(input_shape, name="image")
    x = convolution(inputs, config.width, 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage in range(3):
        filters, stride, name = config.width * 2**stage, 1 if stage == 0 else 2, f"stage{stage + 1}"
        y = convolution(x, filters, stride, f"{name}_a")
        y = layers.ReLU(name=f"{name}_a_relu")(y)
        y = convolution(y, filters, 1, f"{name}_b")
        if stride != 1:
            x = layers.Conv2D(filters, 1, strides=stride, padding="same", name=f"{name}_shortcut_conv")(x)
        x = layers.Add(name=f"{name}_add")([x, y])
        x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, name="classifier")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name="resnet8")
