"""In which form was an architecture published, and what does it cost there?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reference:
    """One published form of an architecture, and its cost as `edgepack.stages.models` counts it.

    The figures stand here so that `edgepack models` answers at once; `tests/integration/test_zoo.py` counts them anew.

    Attributes:
        title: The name that it was published under.
        input_shape: The shape of one sample, without the batch axis.
        classes: Number of classes; None for a model that gives back its input.
        parameters: All of them, moving statistics of BatchNormalization included.
        macs: Multiply-accumulate operations of convolution and dense layers for one sample.
        float32_kib: Weights with BatchNormalization folded, 4 bytes each, KiB.
        int8_kib: The same with kernels in 1 byte and biases in 4, KiB.
        args: Its arguments, where they are not the defaults.
    """

    title: str
    input_shape: tuple[int, ...]
    classes: int | None
    parameters: int
    macs: int
    float32_kib: float
    int8_kib: float
    args: Mapping[str, Any] = field(default_factory=dict)
