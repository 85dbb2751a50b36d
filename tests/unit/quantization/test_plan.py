"""Is fake quantisation placed where TensorFlow Lite quantises, and is one scale shared where it must be?"""

from typing import Any

import numpy as np
import pytest

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.quantization.lower import fold_batch_normalization, lower
from edgepack.quantization.plan import FIXED, plan


def node(name: str, kind: str, *inputs: str, weights: tuple[Any, ...] = (), **config: Any) -> Node:
    refs = [Ref(source) for source in inputs]
    args = (refs,) if len(refs) > 1 else tuple(refs)
    return Node(name, kind, {"name": name, "dtype": "float32", **config}, args, weights=weights)


def graph(*nodes: Node) -> Graph:
    inputs = tuple(n.name for n in nodes if n.kind == "InputLayer")
    return Graph("test", {n.name: n for n in nodes}, inputs, (Ref(nodes[-1].name),))


def convolution(name: str, source: str, channels: int = 2, **config: Any) -> Node:
    kernel = np.arange(1, 3 * 3 * 2 * channels + 1, dtype=np.float32).reshape(3, 3, 2, channels)
    return node(name, "Conv2D", source, weights=(kernel,), activation="linear", use_bias=False, **config)


def normalization(name: str, source: str) -> Node:
    weights = tuple(np.array(values, np.float32) for values in ([2, 3], [1, -1], [0.5, 0.25], [4, 9]))
    return node(name, "BatchNormalization", source, weights=weights, axis=[3], scale=True, center=True, epsilon=0.0)


def test_only_the_last_of_what_is_fused_has_a_scale() -> None:
    model = graph(
        node("x", "InputLayer"),
        convolution("conv", "x"),
        normalization("bn", "conv"),
        node("relu", "ReLU", "bn", max_value=6.0),
        node("pool", "GlobalAveragePooling2D", "relu"),
    )
    decisions = plan(model)
    assert [name for name, decision in decisions.items() if decision.output] == ["x", "relu", "pool"]
    assert decisions["conv"].kernel == ("kernel", "channel")
    assert decisions["bn"].reason == "folded into conv"


def test_a_second_reader_keeps_an_activation_apart() -> None:
    model = graph(
        node("x", "InputLayer"),
        convolution("conv", "x"),
        node("relu", "ReLU", "conv", max_value=None),
        node("add", "Add", "relu", "conv"),
    )
    decisions = plan(model)
    assert all(decisions[name].output for name in ("conv", "relu", "add"))


@pytest.mark.parametrize(("limits", "fused"), [({}, True), ({"max_value": 6.0}, True), ({"max_value": 1.0}, False)])
def test_only_the_clips_that_tensorflow_lite_knows_are_fused(limits: dict[str, float], fused: bool) -> None:
    decisions = plan(graph(node("x", "InputLayer"), convolution("conv", "x"), node("relu", "ReLU", "conv", **limits)))
    assert (decisions["conv"].output is None) is fused


def test_concatenation_and_pooling_share_one_scale_with_what_feeds_them() -> None:
    model = graph(
        node("x", "InputLayer"),
        convolution("a", "x"),
        convolution("b", "x"),
        node("padded", "ZeroPadding2D", "b"),
        node("both", "Concatenate", "a", "padded"),
        node("pool", "AveragePooling2D", "both"),
        convolution("c", "pool"),
    )
    decisions = plan(model)
    outputs = {name: decision.output.scale for name, decision in decisions.items() if decision.output}
    assert outputs["a"] == outputs["b"] == outputs["both"] == outputs["pool"]
    assert outputs["c"] not in (outputs["x"], outputs["pool"])
    assert "padded" not in outputs
    assert decisions["padded"].status == "passed through"


def test_what_hands_values_on_to_several_readers_states_its_scale_again() -> None:
    model = graph(
        node("x", "InputLayer"),
        convolution("conv", "x"),
        node("pool", "MaxPooling2D", "conv"),
        convolution("a", "pool"),
        node("b", "AveragePooling2D", "pool"),
        node("both", "Concatenate", "a", "b"),
    )
    decisions = plan(model)
    assert decisions["pool"].status == "passed through"
    assert decisions["pool"].output == decisions["conv"].output == decisions["both"].output


def test_a_sigmoid_has_the_scale_of_the_specification_and_keeps_it_in_a_concatenation() -> None:
    model = graph(
        node("x", "InputLayer"),
        node("gate", "Activation", "x", activation="sigmoid"),
        node("both", "Concatenate", "x", "gate"),
    )
    decisions = plan(model)
    assert decisions["gate"].output is not None
    assert decisions["gate"].output.fixed == FIXED["sigmoid"] == (0.0, 255 / 256)
    assert decisions["both"].output is not None
    assert decisions["both"].output.fixed is None


def test_a_softmax_at_the_end_is_left_to_the_converter() -> None:
    model = graph(node("x", "InputLayer"), node("logits", "Dense", "x"), node("softmax", "Softmax", "logits"))
    assert plan(model)["softmax"].output is None
    assert plan(model)["logits"].output is not None


def test_what_nobody_knows_is_blocked_and_named() -> None:
    decisions = plan(
        graph(
            node("x", "InputLayer"), node("memory", "LSTM", "x"), node("y", "Activation", "memory", activation="gelu")
        )
    )
    assert decisions["memory"].status == decisions["y"].status == "blocked"
    assert "LSTM" in decisions["memory"].reason
    assert "gelu" in decisions["y"].reason


def test_a_layer_that_the_recipe_excludes_keeps_its_kernel_in_float() -> None:
    decision = plan(graph(node("x", "InputLayer"), convolution("conv", "x")), in_float=["conv"])["conv"]
    assert decision.kernel is None
    assert decision.status == "passed through"


def test_composite_layers_are_taken_apart() -> None:
    kernels = (np.ones((3, 3, 2, 1), np.float32), np.ones((1, 1, 2, 4), np.float32))
    separable = {
        "kernel_size": (3, 3),
        "strides": (2, 2),
        "padding": "same",
        "dilation_rate": (1, 1),
        "depth_multiplier": 1,
        "filters": 4,
        "use_bias": False,
        "activation": "relu",
        "trainable": True,
        "data_format": "channels_last",
    }
    model = graph(
        node("x", "InputLayer"),
        node("sep", "SeparableConv2D", "x", weights=kernels, **separable),
        convolution("conv", "sep").with_config(activation="swish"),
    )
    origins = lower(model)
    assert [(n.kind, n.config.get("activation")) for n in model.nodes.values()] == [
        ("InputLayer", None),
        ("DepthwiseConv2D", "linear"),
        ("Conv2D", "linear"),
        ("ReLU", None),
        ("Conv2D", "linear"),
        ("Activation", "sigmoid"),
        ("Multiply", None),
    ]
    assert model.nodes["sep_depthwise"].config["strides"] == (2, 2)
    assert set(origins.values()) == {"sep", "conv"}
    assert model.outputs[0].node == "conv_swish"


def test_batch_normalization_is_folded_by_the_formula() -> None:
    model = graph(node("x", "InputLayer"), convolution("conv", "x"), normalization("bn", "conv"))
    kernel = model.nodes["conv"].weights[0]
    assert fold_batch_normalization(model) == {"bn": "conv"}
    folded, bias = model.nodes["conv"].weights
    np.testing.assert_allclose(folded, kernel * [2 / 2, 3 / 3])
    np.testing.assert_allclose(bias, [1 - 0.5 * 1, -1 - 0.25 * 1])
    assert model.outputs == (Ref("conv"),)


def test_raw_columns_stay_in_float_and_the_features_behind_them_do_not() -> None:
    model = graph(
        node("x", "InputLayer"),
        node("columns", "TableColumns", "x", columns=[]),
        node("dense", "Dense", "columns", weights=(np.ones((2, 2), np.float32),), activation="linear", use_bias=False),
    )
    decisions = plan(model)
    assert [name for name, decision in decisions.items() if decision.output] == ["columns", "dense"]
    assert decisions["columns"].status == "passed through" and decisions["columns"].kernel is None
    assert decisions["dense"].kernel == ("kernel", "tensor")
