"""Which EfficientNets are meant for integers: no squeeze-and-excite, ReLU6, an end that does not grow?

https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

import math
from typing import Any, NamedTuple

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from edgepack import config
from edgepack.zoo._reference import Reference


class Scale(NamedTuple):
    """How a variant differs from Lite0."""

    width: float
    depth: float
    dropout: float


VARIANTS = (
    Scale(1.0, 1.0, 0.2),
    Scale(1.0, 1.1, 0.2),
    Scale(1.1, 1.2, 0.3),
    Scale(1.2, 1.4, 0.3),
    Scale(1.4, 1.8, 0.3),
)
"""Lite0 to Lite4."""

STEM, HEAD = 32, 1280


class Stage(NamedTuple):
    """Blocks of one shape, as in EfficientNet-B0 (1905.11946, table 1)."""

    filters: int
    kernel: int
    stride: int
    expansion: int
    blocks: int


STAGES = (
    Stage(16, 3, 1, 1, 1),
    Stage(24, 3, 2, 6, 2),
    Stage(40, 5, 2, 6, 2),
    Stage(80, 3, 2, 6, 3),
    Stage(112, 5, 1, 6, 3),
    Stage(192, 5, 2, 6, 4),
    Stage(320, 3, 1, 6, 1),
)


REFERENCES = (
    Reference("EfficientNet-Lite0", (224, 224, 3), 1000, 4_694_024, 385_187_552, 18089.8, 4586.9, {"variant": 0}),
    Reference("EfficientNet-Lite1", (240, 240, 3), 1000, 5_470_344, 600_185_232, 21054.1, 5345.1, {"variant": 1}),
    Reference("EfficientNet-Lite2", (260, 260, 3), 1000, 6_150_168, 859_736_272, 23683.7, 6009.0, {"variant": 2}),
    Reference("EfficientNet-Lite3", (280, 280, 3), 1000, 8_273_768, 1_383_321_872, 31870.2, 8082.8, {"variant": 3}),
    Reference("EfficientNet-Lite4", (300, 300, 3), 1000, 13_118_936, 2_553_034_336, 50587.4, 12814.4, {"variant": 4}),
)


class Config(config.Config):
    """Arguments of `build`."""

    variant: NonNegativeInt = Field(0, le=4, description="0 to 4 for Lite0 to Lite4")
    dropout: NonNegativeFloat | None = Field(
        None, lt=1, description="dropout before the classifier, as a fraction; absent = the variant's own"
    )


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build an EfficientNet-Lite; it takes values from -1 to 1.

    Unlike EfficientNet it keeps stem and head, and the first and the last stage, at the size of Lite0.
    """
    from tf_keras import Input, Model, layers

    scale = VARIANTS[config.variant]

    def convolution(x: Any, filters: int, size: int, stride: int, name: str, *, relu: bool = True) -> Any:
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    def block(x: Any, stage: Stage, filters: int, stride: int, name: str) -> Any:
        before = x
        if stage.expansion != 1:
            x = convolution(x, stage.expansion * x.shape[-1], 1, 1, f"{name}_expand")
        x = layers.DepthwiseConv2D(
            stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
        )(x)
        x = layers.BatchNormalization(name=f"{name}_depthwise_bn")(x)
        x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
        x = convolution(x, filters, 1, 1, f"{name}_project", relu=False)
        if stride == 1 and before.shape[-1] == filters:
            x = layers.Add(name=f"{name}_add")([before, x])
        return x

    inputs = Input(input_shape, name="image")
    x = convolution(inputs, STEM, 3, 2, "stem")
    for index, stage in enumerate(STAGES):
        ends = index in (0, len(STAGES) - 1)
        blocks = stage.blocks if ends else math.ceil(stage.blocks * scale.depth)
        for number in range(blocks):
            stride = stage.stride if number == 0 else 1
            x = block(x, stage, _rounded(stage.filters * scale.width), stride, f"stage{index + 1}_block{number + 1}")
    x = convolution(x, HEAD, 1, 1, "head")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(scale.dropout if config.dropout is None else config.dropout, name="dropout")(x)
    x = layers.Dense(classes, name="classifier")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name=f"efficientnet_lite{config.variant}")


def _rounded(filters: float, multiple: int = 8) -> int:
    """The nearest multiple of 8 that takes away no more than a tenth, as in all EfficientNets."""
    rounded = max(multiple, int(filters + multiple / 2) // multiple * multiple)
    return rounded if rounded >= 0.9 * filters else rounded + multiple
