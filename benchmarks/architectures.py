"""Which models are measured, in the form of whichever Keras is asked for?"""

from typing import Any

CLASSES = 10
IMAGE = (64, 64, 3)
LARGER_IMAGE = (80, 80, 3)
LARGER = ("InceptionV3", "Xception")
"""Architectures whose smallest input is above 64 pixels."""
SPECTROGRAM = (48, 40)

APPLICATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "MobileNet": ("MobileNet", {}),
    "MobileNetV2": ("MobileNetV2", {}),
    "MobileNetV3Small": ("MobileNetV3Small", {}),
    "MobileNetV3Large": ("MobileNetV3Large", {}),
    "MobileNetV3 minimalistic": ("MobileNetV3Small", {"minimalistic": True}),
    "EfficientNetB0": ("EfficientNetB0", {}),
    "EfficientNetV2B0": ("EfficientNetV2B0", {}),
    "ResNet50": ("ResNet50", {}),
    "DenseNet121": ("DenseNet121", {}),
    "NASNetMobile": ("NASNetMobile", {}),
    "InceptionV3": ("InceptionV3", {}),
    "Xception": ("Xception", {}),
}
"""Name in the table: function of `keras.applications` and its arguments."""

NAMES = (*APPLICATIONS, "KWS 1-D")


def build(keras: Any, name: str) -> Any:
    """Build an architecture with random weights for ten classes.

    Args:
        keras: The module ``tf_keras`` or ``keras``.
        name: One of `NAMES`.
    """
    if name == "KWS 1-D":
        return keyword_spotting(keras)
    function, options = APPLICATIONS[name]
    return getattr(keras.applications, function)(
        weights=None, input_shape=input_shape(name), classes=CLASSES, **options
    )


def input_shape(name: str) -> tuple[int, ...]:
    """Shape of one sample, without the batch axis."""
    if name == "KWS 1-D":
        return SPECTROGRAM
    return LARGER_IMAGE if name in LARGER else IMAGE


def keyword_spotting(keras: Any) -> Any:
    """A residual 1-D convolution net over the frames of a spectrogram, as in 1904.03814 (TC-ResNet)."""
    layers = keras.layers

    def block(x: Any, convolution: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(convolution(x)))

    inputs = keras.Input(SPECTROGRAM, name="spectrogram")
    x = block(inputs, layers.Conv1D(32, 9, strides=2, padding="same", use_bias=False))
    for channels in (32, 48):
        y = block(x, layers.SeparableConv1D(channels, 9, padding="same", use_bias=False))
        y = layers.BatchNormalization()(layers.Conv1D(channels, 9, padding="causal", use_bias=False)(y))
        x = x if x.shape[-1] == channels else layers.Conv1D(channels, 1)(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D()(layers.MaxPooling1D(2)(x))
    outputs = layers.Dense(CLASSES, activation="softmax")(layers.Dropout(0.1)(x))
    return keras.Model(inputs, outputs, name="kws")
