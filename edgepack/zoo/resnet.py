"""What are the residual networks for small images, of any depth?"""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from edgepack import config
from edgepack.zoo._reference import Reference
from edgepack.zoo._residual import network

REFERENCES = (Reference("ResNet-20", (32, 32, 3), 10, 273_658, 40_813_184, 1061.3, 267.6),)


class Config(config.Config):
    """Arguments of `build`."""

    blocks: tuple[PositiveInt, ...] = Field((3, 3, 3), min_length=1, description="residual blocks of each stage")
    filters: tuple[PositiveInt, ...] = Field((16, 32, 64), min_length=1, description="filters of each stage")
    dropout: NonNegativeFloat = Field(0.0, lt=1, description="dropout before the classifier, as a fraction")

    @model_validator(mode="after")
    def _goes_together(self) -> "Config":
        if len(self.blocks) != len(self.filters):
            raise ValueError(
                f"blocks ({list(self.blocks)}) has {len(self.blocks)} stages, filters ({list(self.filters)}) "
                f"{len(self.filters)}: give one number for each stage in both"
            )
        return self


def build(config: Config, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """Build a residual network as for CIFAR-10 (1512.03385, section 4.2): 6n+2 layers for n blocks in each stage.

    A shortcut to other filters is a projection (the paper's option B, as in its deeper networks); the paper's table 6
    has shortcuts without parameters there.

    Args:
        config: Blocks and filters of each stage, dropout; every stage but the first halves the image.
        input_shape: (height, width, channels).
        classes: Outputs of the softmax.
    """
    stages = enumerate(zip(config.blocks, config.filters, strict=True), 1)
    blocks = (
        (f"stage{stage}_block{block}", filters, 2 if stage > 1 and block == 1 else 1)
        for stage, (count, filters) in stages
        for block in range(1, count + 1)
    )
    return network(blocks, name="resnet", input_shape=input_shape, classes=classes, bias=False, dropout=config.dropout)
