"""What do residual networks for small images have in common?"""

from collections.abc import Iterable
from typing import Any


def network(
    blocks: Iterable[tuple[str, int, int]],
    *,
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    bias: bool,
    dropout: float,
) -> Any:
    """Build stem, residual blocks of two 3x3 convolutions each, and classifier (1512.03385, section 4.2).

    Where a block changes filters or resolution, its shortcut is a 1x1 convolution without BatchNormalization.

    Args:
        blocks: Name, filters and stride of each block; the stem has the filters of the first one.
        name: Name of the model.
        input_shape: (height, width, channels).
        classes: Outputs of the softmax.
        bias: Convolutions have biases, although BatchNormalization follows them.
        dropout: Before the classifier, as a fraction; 0 = no such layer.
    """
    from tf_keras import Input, Model, layers

    def convolution(x: Any, filters: int, stride: int, name: str) -> Any:
        x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=bias, name=f"{name}_conv")(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    blocks = list(blocks)
    inputs = Input(input_shape, name="image")
    x = layers.ReLU(name="stem_relu")(convolution(inputs, blocks[0][1], 1, "stem"))
    for block, filters, stride in blocks:
        y = layers.ReLU(name=f"{block}_a_relu")(convolution(x, filters, stride, f"{block}_a"))
        y = convolution(y, filters, 1, f"{block}_b")
        if x.shape[-1] != filters or stride != 1:
            shortcut = f"{block}_shortcut_conv"
            x = layers.Conv2D(filters, 1, strides=stride, padding="same", use_bias=bias, name=shortcut)(x)
        x = layers.Add(name=f"{block}_add")([x, y])
        x = layers.ReLU(name=f"{block}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, name="classifier")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name=name)
