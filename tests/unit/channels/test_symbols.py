"""Which channels go together, and which must stay?"""

import numpy as np
import pytest
from channel_networks import Builder

from edgepack.channels.groups import left_alone, removable
from edgepack.channels.symbols import Channels
from edgepack.keras_models.graph import Ref


def sizes(channels: Channels) -> dict[tuple[str, ...], int]:
    """Number of units of each group, by its producers."""
    return {group.producers: len(group.units) for group in removable(channels)}


def test_a_chain_has_one_group_for_each_convolution_and_the_last_one_stays() -> None:
    net = Builder()
    net.bn("bn", net.conv("a", "in", 8))
    net.conv("b", net.relu("relu", "bn"), 6)
    net.done(net.dense("head", net.pool("pool", "b"), 10))
    channels = net.trace()
    assert sizes(channels) == {("a",): 8, ("b",): 6}
    assert [(item.layer, item.channels, item.reason) for item in left_alone(channels)] == [
        ("head", 10, "the model's output")
    ]
    np.testing.assert_array_equal(channels.tensors[Ref("a")], channels.tensors[Ref("relu")])


def test_a_residual_add_joins_all_layers_that_end_in_it() -> None:
    net = Builder()
    net.conv("stem", "in", 8)
    net.conv("a", "stem", 4)
    net.conv("b", "a", 8)
    net.merge("add1", "Add", "stem", "b")
    net.conv("c", "add1", 8)
    net.merge("add2", "Add", "add1", "c")
    net.done(net.dense("head", net.pool("pool", "add2"), 10))
    assert sizes(net.trace()) == {("stem", "b", "c"): 8, ("a",): 4}


def test_a_depthwise_convolution_makes_no_channels_and_repeats_them_with_a_multiplier() -> None:
    net = Builder()
    net.conv("expand", "in", 6)
    net.depthwise("deep", "expand", multiplier=2)
    net.conv("project", "deep", 4)
    net.done(net.flatten("flat", "project"))
    channels = net.trace()
    assert sizes(channels) == {("expand",): 6}
    expand, deep = channels.tensors[Ref("expand")], channels.tensors[Ref("deep")]
    np.testing.assert_array_equal(deep, np.repeat(expand, 2))


def test_concatenation_keeps_the_sources_apart_and_an_add_behind_it_joins_them_piece_by_piece() -> None:
    net = Builder()
    net.conv("a", "in", 3)
    net.conv("b", "in", 5)
    net.concat("cat", "a", "b")
    net.conv("c", "in", 8)
    net.merge("add", "Add", "cat", "c")
    net.done(net.dense("head", net.pool("pool", "add"), 10))
    assert sizes(net.trace()) == {("a", "c"): 3, ("b", "c"): 5}


def test_squeeze_and_excite_gates_belong_to_the_channels_that_they_scale() -> None:
    net = Builder()
    net.conv("main", "in", 8)
    net.reshape("shape", net.pool("pool", "main"), 1, 1, 8)
    net.conv("squeeze", "shape", 2)
    net.conv("excite", "squeeze", 8, activation="sigmoid")
    net.merge("scale", "Multiply", "main", "excite")
    net.done(net.dense("head", net.pool("pool2", "scale"), 10))
    assert sizes(net.trace()) == {("main", "excite"): 8, ("squeeze",): 2}


def test_flatten_gives_each_channel_a_place_for_every_position() -> None:
    net = Builder((2, 3, 3))
    net.conv("a", "in", 4)
    net.done(net.dense("head", net.flatten("flat", "a"), 10))
    channels = net.trace()
    assert sizes(channels) == {("a",): 4}
    np.testing.assert_array_equal(channels.tensors[Ref("flat")], np.tile(channels.tensors[Ref("a")], 6))


def test_a_layer_that_is_called_twice_has_the_same_channels_both_times() -> None:
    net = Builder((4, 4, 3))
    net.conv("left", "in", 6)
    net.conv("right", "in", 6)
    net.conv("shared", "left", 5)
    net.again("shared_call1", "shared", "right")
    net.concat("cat", "shared", "shared_call1")
    net.done(net.dense("head", net.pool("pool", "cat"), 10))
    channels = net.trace()
    assert sizes(channels) == {("left", "right"): 6, ("shared",): 5}
    shared = channels.tensors[Ref("shared")]
    np.testing.assert_array_equal(channels.tensors[Ref("cat")], np.concatenate([shared, shared]))


@pytest.mark.parametrize(
    ("kind", "config", "reason"),
    [
        ("Lambda", {}, "odd (Lambda) is not understood"),
        ("LayerNormalization", {}, "odd (LayerNormalization) is not understood"),
        ("Softmax", {}, "odd is a softmax over them"),
        ("Activation", {"activation": "softmax"}, "odd is a softmax over them"),
        ("Activation", {"activation": "mine"}, "odd's activation 'mine' is not understood"),
        ("Rescaling", {"scale": [1.0, 2.0], "offset": 0.0}, "odd has a factor for each channel"),
        ("MaxPooling2D", {"data_format": "channels_first"}, "odd has its channels first"),
        ("TFOpLambda", {"function": "roll"}, "odd (TensorFlow's roll) is not understood"),
    ],
)
def test_what_is_not_understood_leaves_its_channels_alone_and_says_why(kind: str, config: dict, reason: str) -> None:
    net = Builder()
    net.conv("a", "in", 8)
    net.add("odd", kind, ["a"], (4, 4, 8), **config)
    net.conv("b", "odd", 8)
    net.done(net.dense("head", net.pool("pool", "b"), 10))
    channels = net.trace()
    assert sizes(channels) == {("b",): 8}
    assert {item.layer: item.reason for item in left_alone(channels)}["a"] == reason


@pytest.mark.parametrize("function", ["__operators__.add", "math.multiply", "nn.relu6"])
def test_arithmetic_value_by_value_keeps_channels(function: str) -> None:
    net = Builder()
    net.conv("a", "in", 8)
    net.add("op", "TFOpLambda", ["a"], (4, 4, 8), function=function)
    net.done(net.dense("head", net.pool("pool", "op"), 10))
    assert sizes(net.trace()) == {("a",): 8}


def test_a_class_of_the_user_is_not_taken_for_the_keras_layer_of_that_name() -> None:
    net = Builder()
    net.conv("a", "in", 8)
    net.add("mine", "ReLU", ["a"], (4, 4, 8))
    net.done(net.dense("head", net.pool("pool", "mine"), 10))
    net.graph.custom["ReLU"] = object
    assert sizes(net.trace()) == {}


def test_a_convolution_in_groups_is_left_alone() -> None:
    net = Builder()
    net.conv("a", "in", 8)
    net.add("grouped", "Conv2D", ["a"], (4, 4, 8), (1, 1, 4, 8), (8,), filters=8, groups=2)
    net.done(net.dense("head", net.pool("pool", "grouped"), 10))
    channels = net.trace()
    assert sizes(channels) == {}
    assert {item.reason for item in left_alone(channels)} >= {"grouped is a convolution in groups"}


def test_one_value_spread_over_all_channels_stays() -> None:
    net = Builder()
    net.conv("a", "in", 8)
    net.conv("mask", "in", 1)
    net.merge("scale", "Multiply", "a", "mask")
    net.done(net.dense("head", net.pool("pool", "scale"), 10))
    channels = net.trace()
    assert sizes(channels) == {("a",): 8}
    assert ("mask", 1, "scale spreads it over all channels") in [
        (item.layer, item.channels, item.reason) for item in left_alone(channels)
    ]


def test_channels_of_excluded_layers_stay() -> None:
    net = Builder()
    net.conv("a", "in", 8)
    net.conv("b", "a", 8)
    net.done(net.dense("head", net.pool("pool", "b"), 10))
    channels = net.trace(exclude=("a",))
    assert sizes(channels) == {("b",): 8}
    assert {item.layer: item.reason for item in left_alone(channels)}["a"] == "excluded by the recipe"


def test_a_reshape_that_mixes_channels_and_positions_is_left_alone() -> None:
    net = Builder((4, 4, 3))
    net.conv("a", "in", 8)
    net.reshape("mix", "a", 4, 8, 4)
    net.done(net.dense("head", net.pool("pool", "mix"), 10))
    assert sizes(net.trace()) == {}
