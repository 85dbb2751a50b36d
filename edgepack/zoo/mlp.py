"""What is a plain network for tables?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from edgepack import config
from edgepack.zoo._reference import Reference

REFERENCES = (Reference("MLP", (30,), 2, 4130, 4032, 16.1, 4.3),)


class Config(config.Config):
    """Arguments of `build`."""

    units: tuple[PositiveInt, ...] = Field((64, 32), description="width of each hidden layer")
    dropout: NonNegativeFloat = Field(0.0, lt=1, description="dropout after each hidden layer, as a fraction")
    batch_normalization: bool = Field(False, description="BatchNormalization before each ReLU")


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build dense layers with ReLU and a softmax; samples of more than one axis are flattened first."""
    from tf_keras import Sequential, layers

    model = Sequential(name="mlp")
    model.add(layers.InputLayer(input_shape, name="features"))
    if len(input_shape) > 1:
        model.add(layers.Flatten(name="flatten"))
    for index, units in enumerate(config.units):
        if config.batch_normalization:
            model.add(layers.Dense(units, use_bias=False, name=f"hidden{index}"))
            model.add(layers.BatchNormalization(name=f"hidden{index}_bn"))
            model.add(layers.ReLU(name=f"hidden{index}_relu"))
        else:
            model.add(layers.Dense(units, activation="relu", name=f"hidden{index}"))
        if config.dropout:
            model.add(layers.Dropout(config.dropout, name=f"dropout{index}"))
    model.add(layers.Dense(classes, name="classifier"))
    model.add(layers.Softmax(name="softmax"))
    return model
