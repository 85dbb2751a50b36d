"""What is each activation function of Keras 3 in tf_keras?

Some have another definition under the same name, some have none: these become layers or operations of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAME = (
    "elu",
    "exponential",
    "gelu",
    "linear",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
)
"""Functions of one name and one definition."""

RENAMED = {"silu": "swish"}


@dataclass(frozen=True)
class Step:
    """A call that computes what an activation function computes.

    Attributes:
        kind: Class of the layer.
        config: Its configuration without the name.
        kwargs: Further arguments of the call.
    """

    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def _operation(function: str, **kwargs: Any) -> Step:
    return Step("TFOpLambda", {"function": function}, kwargs)


STEPS = {
    "relu6": Step("ReLU", {"max_value": 6.0}),
    "leaky_relu": Step("LeakyReLU", {"alpha": 0.2}),
    "hard_sigmoid": Step("HardSigmoid"),  # Keras 2 has clip(0.2 x + 0.5, 0, 1) under that name
    "hard_silu": Step("HardSwish"),
    "log_softmax": _operation("nn.log_softmax"),
    "log_sigmoid": _operation("math.log_sigmoid"),
    "hard_tanh": _operation("clip_by_value", clip_value_min=-1.0, clip_value_max=1.0),
}
"""Functions that need a call of their own behind the layer."""
