"""Which network is the usual one for keyword spotting: depthwise separable convolutions on a spectrogram?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from edgepack import config
from edgepack.zoo._reference import Reference

REFERENCES = (
    Reference("DS-CNN", (49, 10, 1), 12, 24_908, 2_656_768, 88.3, 23.8),
    Reference("DS-CNN, 1-D", (49, 10), 12, 27_212, 589_568, 97.3, 26.0),
)


class Config(config.Config):
    """Arguments of `build`."""

    filters: PositiveInt = Field(64, description="filters of every convolution")
    blocks: PositiveInt = Field(4, description="depthwise separable blocks")
    dropout: NonNegativeFloat = Field(0.2, lt=1, description="dropout behind the first convolution, as a fraction")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build DS-CNN (1711.07128), in two dimensions as MLPerf Tiny has it (2106.07597), or in one.

    Args:
        config: Filters, blocks, dropout.
        input_shape: (time, frequency, 1) for two dimensions; (time, frequency) for one, where frequencies are channels.
        classes: Outputs of the softmax.
    """
    from tf_keras import Input, Model, layers

    flat = len(input_shape) == 2
    first, separable = (layers.Conv1D, layers.DepthwiseConv1D) if flat else (layers.Conv2D, layers.DepthwiseConv2D)
    point, pool = (
        (layers.Conv1D, layers.GlobalAveragePooling1D) if flat else (layers.Conv2D, layers.GlobalAveragePooling2D)
    )

    def normalised(x: Any, name: str) -> Any:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = Input(input_shape, name="spectrogram")
    x = first(config.filters, 10 if flat else (10, 4), strides=2, padding="same", name="stem_conv")(inputs)
    x = normalised(x, "stem")
    x = layers.Dropout(config.dropout, name="stem_dropout")(x)
    for index in range(1, config.blocks + 1):
        x = separable(3, padding="same", name=f"block{index}_depthwise")(x)
        x = normalised(x, f"block{index}_depthwise")
        x = point(config.filters, 1, padding="same", name=f"block{index}_pointwise")(x)
        x = normalised(x, f"block{index}_pointwise")
    x = pool(name="pool")(x)
    x = layers.Dense(classes, name="classifier")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name="ds_cnn")
