"""What is the residual network that MLPerf Tiny uses for image classification?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from edgepack import config
from edgepack.zoo._reference import Reference
from edgepack.zoo._residual import network

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
    blocks = ((f"stage{stage + 1}", config.width * 2**stage, 1 if stage == 0 else 2) for stage in range(3))
    return network(blocks, name="resnet8", input_shape=input_shape, classes=classes, bias=True, dropout=config.dropout)
