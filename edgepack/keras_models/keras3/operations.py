"""Which TensorFlow function stands for each `keras.ops` operation between layers?

tf_keras has `TFOpLambda` layers in their place; the names are TensorFlow's own, as tf_keras writes them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.keras_models.keras3.activations import STEPS, Step


@dataclass(frozen=True)
class Function:
    """A TensorFlow function in place of an operation.

    Attributes:
        name: TensorFlow's name for it.
        settings: Name of the function's argument for each setting of the operation; settings that only have their
            usual value in `only` need none.
        only: Settings that must have this value, because the function has no such argument.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, Any] = field(default_factory=dict)


_REDUCTION = {"axis": "axis", "keepdims": "keepdims"}

FUNCTIONS: dict[str, Function] = {
    "Abs": Function("math.abs"),
    "Absolute": Function("math.abs"),
    "Add": Function("__operators__.add"),
    "Argmax": Function("math.argmax", {"axis": "axis"}, {"keepdims": False}),
    "Cast": Function("cast", {"dtype": "dtype"}),
    "Ceil": Function("math.ceil"),
    "Clip": Function("clip_by_value", {"x_min": "clip_value_min", "x_max": "clip_value_max"}),
    "Concatenate": Function("concat", {"axis": "axis"}),
    "Cos": Function("math.cos"),
    "Divide": Function("math.truediv"),
    "Elu": Function("nn.elu", {}, {"alpha": 1.0}),
    "Erf": Function("math.erf"),
    "Exp": Function("math.exp"),
    "ExpandDims": Function("expand_dims", {"axis": "axis"}),
    "Expm1": Function("math.expm1"),
    "Floor": Function("math.floor"),
    "FloorDivide": Function("math.floordiv"),
    "Gelu": Function("nn.gelu", {"approximate": "approximate"}),
    "GetItem": Function("__operators__.getitem"),
    "LeakyRelu": Function("nn.leaky_relu", {"negative_slope": "alpha"}),
    "Log": Function("math.log"),
    "Log1p": Function("math.log1p"),
    "LogSigmoid": Function("math.log_sigmoid"),
    "LogSoftmax": Function("nn.log_softmax", {"axis": "axis"}),
    "Logsumexp": Function("math.reduce_logsumexp", _REDUCTION),
    "Matmul": Function("linalg.matmul"),
    "Max": Function("math.reduce_max", _REDUCTION, {"initial": None}),
    "Maximum": Function("math.maximum"),
    "Mean": Function("math.reduce_mean", _REDUCTION),
    "Min": Function("math.reduce_min", _REDUCTION, {"initial": None}),
    "Minimum": Function("math.minimum"),
    "Multiply": Function("math.multiply"),
    "Negative": Function("math.negative"),
    "NotEqual": Function("math.not_equal"),
    "Pad": Function("pad", {"pad_width": "paddings"}, {"mode": "constant"}),
    "Power": Function("math.pow"),
    "Prod": Function("math.reduce_prod", _REDUCTION, {"dtype": None}),
    "Reciprocal": Function("math.reciprocal"),
    "Relu": Function("nn.relu"),
    "Relu6": Function("nn.relu6"),
    "Repeat": Function("repeat", {"repeats": "repeats", "axis": "axis"}),
    "Reshape": Function("reshape", {"newshape": "shape"}),
    "Round": Function("math.round", {}, {"decimals": 0}),
    "Rsqrt": Function("math.rsqrt"),
    "Selu": Function("nn.selu"),
    "Sigmoid": Function("math.sigmoid"),
    "Sign": Function("math.sign"),
    "Silu": Function("nn.silu"),
    "Sin": Function("math.sin"),
    "Softmax": Function("nn.softmax", {"axis": "axis"}),
    "Softplus": Function("math.softplus"),
    "Softsign": Function("nn.softsign"),
    "Split": Function("split", {"indices_or_sections": "num_or_size_splits", "axis": "axis"}),
    "Sqrt": Function("math.sqrt"),
    "Square": Function("math.square"),
    "Squeeze": Function("squeeze", {"axis": "axis"}),
    "Stack": Function("stack", {"axis": "axis"}),
    "StopGradient": Function("stop_gradient"),
    "Subtract": Function("math.subtract"),
    "Sum": Function("math.reduce_sum", _REDUCTION),
    "Tanh": Function("math.tanh"),
    "Tile": Function("tile", {"repeats": "multiples"}),
    "Transpose": Function("transpose", {"axes": "perm"}),
    "TrueDivide": Function("math.truediv"),
}

LAYERS: dict[str, Step] = {"HardSigmoid": STEPS["hard_sigmoid"], "HardSilu": STEPS["hard_silu"]}
"""Operations that become layers: the converter then finds one built-in for them."""


def is_operation(module: str) -> bool:
    """True for the module of a `keras.ops` operation, as it stands in a file of Keras 3."""
    return module.startswith(("keras.src.ops.", "keras.ops"))


def translate(kind: str, config: Mapping[str, Any]) -> Step | str:
    """The call in place of an operation, or why there is none.

    Args:
        kind: Class of the operation.
        config: Its configuration.
    """
    if kind in LAYERS:
        return LAYERS[kind]
    function = FUNCTIONS.get(kind)
    if function is None:
        return "tf_keras has no counterpart of this operation"
    settings = {key: value for key, value in config.items() if key != "name"}
    kwargs: dict[str, Any] = {}
    for key, value in settings.items():
        if key in function.settings:
            kwargs[function.settings[key]] = CHANGES.get((kind, key), _same)(value)
        elif key not in function.only or value != function.only[key]:
            return f"{key}={value!r} has no counterpart in tf.{function.name}"
    if kind == "Split" and not isinstance(settings["indices_or_sections"], int):
        return "tf.split takes sizes, not places: give a number of equal sections"
    if kind == "Pad" and len(settings["pad_width"]) == 1:
        return "one width for all axes pads the batch too: give a pair for each axis"
    return Step(
        "SlicingOpLambda" if kind == "GetItem" else "TFOpLambda",
        {"function": function.name},
        {key: value for key, value in kwargs.items() if value is not None},
    )


def _same(value: Any) -> Any:
    return value


def _shape(value: Any) -> Any:
    """Keras writes None for the batch axis, `tf.reshape` takes -1."""
    return [-1 if size is None else size for size in value]


CHANGES: dict[tuple[str, str], Callable[[Any], Any]] = {("Reshape", "newshape"): _shape}
