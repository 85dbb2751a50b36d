"""Which network gives back what it was given, through a narrow place that only usual samples fit through?"""

import math
from typing import Any

from pydantic import Field, PositiveInt

from edgepack import config
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("FC-AutoEncoder", (640,), None, 269_992, 264_192, 1038.5, 264.5),)


class Config(config.Config):
    """Arguments of `build`."""

    units: tuple[PositiveInt, ...] = Field(
        (128, 128, 128, 128), description="width of each layer before the bottleneck, and in reverse behind it"
    )
    bottleneck: PositiveInt = Field(8, description="width of the narrowest layer")
    batch_normalization: bool = Field(True, description="BatchNormalization before each ReLU")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int | None) -> Any:
    """Build the fully connected auto-encoder of MLPerf Tiny's anomaly detection (2106.07597); for `task: anomaly`.

    Dense, BatchNormalization, ReLU; the last layer gives the values of the input, without any of these.

    Args:
        config: Widths, BatchNormalization; the defaults give the reference's 269,992 parameters for 640 values.
        input_shape: Samples of more than one axis are flattened, and given back in their shape.
        classes: Not used.
    """
    from tf_keras import Sequential, layers

    model = Sequential(name="autoencoder")
    model.add(layers.InputLayer(input_shape, name="features"))
    if len(input_shape) > 1:
        model.add(layers.Flatten(name="flatten"))
    names = [f"encoder{index}" for index in range(len(config.units))]
    names += ["bottleneck", *(f"decoder{index}" for index in range(len(config.units)))]
    for name, units in zip(names, (*config.units, config.bottleneck, *reversed(config.units)), strict=True):
        model.add(layers.Dense(units, name=name))
        if config.batch_normalization:
            model.add(layers.BatchNormalization(name=f"{name}_bn"))
        model.add(layers.ReLU(name=f"{name}_relu"))
    model.add(layers.Dense(math.prod(input_shape), name="output"))
    if len(input_shape) > 1:
        model.add(layers.Reshape(input_shape, name="shape"))
    return model
