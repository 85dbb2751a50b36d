"""What is the configuration of a Keras 3 layer in tf_keras, and which of its settings have no counterpart there?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.keras_models.keras3 import operations
from edgepack.keras_models.keras3.activations import RENAMED, SAME, STEPS, Step

WITHOUT_EFFECT = frozenset(
    {"autocast", "fill_mode", "fill_value", "optional", "renorm_clipping", "renorm_momentum", "seed", "use_cudnn"}
    | {"value_range", "gptq_unpacked_column_size"}
)
"""Settings that choose no other function: seeds, speed, and companions of settings that are refused themselves."""

KEYS = {
    ("InputLayer", "batch_shape"): "batch_input_shape",
    ("LeakyReLU", "negative_slope"): "alpha",
}
"""Settings of one meaning under two names."""

LAST_ACTIVATION = frozenset(
    {"Activation", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "Dense"}
    | {"DepthwiseConv1D", "DepthwiseConv2D", "EinsumDense", "SeparableConv1D", "SeparableConv2D"}
)
"""Layers whose activation is the last thing that they compute, so that it can stand behind them."""

QUANTISED = "Keras 3 has quantised it: save the model as it was before quantize()"


@dataclass(frozen=True)
class Carried:
    """A layer as tf_keras has it.

    Attributes:
        kind: Class name.
        config: Configuration, or that of the step that replaces the layer.
        kwargs: Further arguments of the call.
        then: A call that follows, or None.
        problems: What cannot be carried over, one phrase each; the rest means nothing then.
    """

    kind: str
    config: Mapping[str, Any]
    kwargs: Mapping[str, Any]
    then: Step | None = None
    problems: tuple[str, ...] = ()


def carry(kind: str, module: str, config: Mapping[str, Any], custom: Mapping[str, Any]) -> Carried:
    """Translate one layer or operation.

    Args:
        kind: Its class.
        module: Where the class is defined; empty where an ``.h5`` file does not say.
        config: Its configuration, as Keras 3 writes it.
        custom: The user's own layers and functions, by name.
    """
    name = config.get("name", "")
    if operations.is_operation(module):
        step = operations.translate(kind, config)
        if isinstance(step, str):
            return Carried(kind, {}, {}, problems=(step,))
        return Carried(step.kind, {**step.config, "name": name}, step.kwargs)
    if kind in custom:
        return Carried(kind, {**config, "dtype": "float32"} if "dtype" in config else config, {})
    accepted = _accepted(kind)
    if accepted is None:
        return Carried(kind, {}, {}, problems=(_unknown(kind, module),))
    if kind == "Lambda" and not _is_custom_function(config["function"], custom):
        return Carried(kind, {}, {}, problems=("code inside a file is not run: give a Layer with custom_objects",))
    return _layer(kind, config, accepted, custom)


def _unknown(kind: str, module: str) -> str:
    if not module and kind in operations.FUNCTIONS:
        return 'an .h5 file does not keep operations of keras.ops: save the model with model.save("model.keras")'
    if module == "keras" or module.startswith("keras."):
        return "tf_keras has no counterpart of this layer"
    return "neither tf_keras nor custom_objects has this class"


def _layer(kind: str, config: Mapping[str, Any], accepted: frozenset[str], custom: Mapping[str, Any]) -> Carried:
    carried: dict[str, Any] = {}
    problems: list[str] = []
    then: Step | None = None
    for key, value in config.items():
        wanted = KEYS.get((kind, key), key)
        if key == "dtype":
            problems += [QUANTISED] if _is_quantised(value) else []
            if kind == "InputLayer":
                carried["dtype"] = value
        elif key == "mask_zero":
            carried[key] = False  # Keras 3 writes masks down as calls and arguments, tf_keras would add its own
        elif key.endswith("_initializer"):
            pass  # the weights are copied
        elif key == "activation" and kind in LAST_ACTIVATION:
            carried[key], then, problem = _activation(value, custom)
            problems += [problem] if problem else []
        elif key == "activation" or key.endswith("_activation"):
            carried[key], step, problem = _activation(value, custom)
            problem = problem or (f"{key}={value!r} has another definition in tf_keras" if step else "")
            problems += [problem] if problem else []
        elif wanted not in accepted:
            if not _means_nothing(key, value):
                problems.append(f"{key}={value!r} has no counterpart in tf_keras")
        else:
            carried[wanted] = _nested(value, custom, problems)
    if kind == "Lambda":
        carried |= {"function_type": "function", "output_shape": config.get("output_shape"), "output_shape_type": "raw"}
    if kind == "Activation" and then is not None:
        return Carried(then.kind, {**then.config, "name": config["name"]}, then.kwargs, None, tuple(problems))
    return Carried(kind, carried, {}, then, tuple(problems))


def _means_nothing(key: str, value: Any) -> bool:
    """True for a setting that tf_keras does not have and that has its usual value here."""
    return key in WITHOUT_EFFECT or value is None or value is False or value == 0 or value == "channels_last"


def _activation(value: Any, custom: Mapping[str, Any]) -> tuple[Any, Step | None, str]:
    """An activation as tf_keras has it: its name, the step behind the layer, or the problem."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value["config"]
    if value is None or value in SAME or (isinstance(value, str) and value in custom):
        return value, None, ""
    if value in RENAMED:
        return RENAMED[value], None, ""
    if value in STEPS:
        return "linear", STEPS[value], ""
    shown = value.get("class_name") if isinstance(value, dict) else value
    return None, None, f"tf_keras has no activation {shown!r}"


def _nested(value: Any, custom: Mapping[str, Any], problems: list[str]) -> Any:
    """Objects inside a configuration: layers as tf_keras has them, others by class name and configuration."""
    if isinstance(value, list):
        return [_nested(item, custom, problems) for item in value]
    if not isinstance(value, dict) or "class_name" not in value:
        return value
    kind, module, config = value["class_name"], value.get("module") or "", value.get("config")
    if kind == "function":
        return config
    if not isinstance(config, dict):
        return value
    if module == "keras.layers" or kind in custom:
        inner = carry(kind, module, config, custom)
        problems += [f"its {kind} {config.get('name')!r}: {problem}" for problem in inner.problems]
        if inner.then:
            problems.append(f"the activation of its {kind} {config.get('name')!r} has no counterpart inside a layer")
        return {"class_name": inner.kind, "config": dict(inner.config)}
    if kind in ("Functional", "Sequential", "Model"):
        problems.append(f"it holds the model {config.get('name')!r}: call the model's layers one by one")
    return {"class_name": kind, "config": config}


def _is_quantised(dtype: Any) -> bool:
    return isinstance(dtype, dict) and "Quantized" in str(dtype.get("class_name"))


def _is_custom_function(function: Any, custom: Mapping[str, Any]) -> bool:
    return isinstance(function, dict) and function.get("class_name") == "function" and function["config"] in custom


def _accepted(kind: str) -> frozenset[str] | None:
    """The settings that a layer of tf_keras takes, or None when it has no such layer."""
    import inspect

    import tf_keras

    cls = getattr(tf_keras.layers, kind, None)
    if cls is None:
        return None
    names = {"name", "trainable", "dtype", "batch_input_shape", "sparse", "ragged"}
    for base in cls.__mro__:
        if base is tf_keras.layers.Layer:
            break
        if "__init__" in vars(base):
            names |= set(inspect.signature(base.__init__).parameters)
        if base is tf_keras.layers.RNN:
            names.add("zero_output_for_mask")  # among its **kwargs
        if base is tf_keras.layers.MultiHeadAttention:
            names |= {"query_shape", "value_shape", "key_shape"}  # only from_config() takes them
    return frozenset(names - {"self", "args", "kwargs"} | {"activity_regularizer"})
