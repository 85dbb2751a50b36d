"""Are operations and parameters counted as by hand?"""

import pytest
from channel_networks import Builder

from edgepack.channels.macs import Cost, cost
from edgepack.errors import RecipeError
from edgepack.keras_models.graph import Ref


def test_convolutions_and_dense_layers_count_each_use_of_a_weight() -> None:
    net = Builder((4, 6, 3))
    net.conv("a", "in", 8, size=3)
    net.bn("bn", "a")
    net.done(net.dense("head", net.flatten("flat", "bn"), 10))
    convolution, head = 4 * 6 * 3 * 3 * 3 * 8, 4 * 6 * 8 * 10
    parameters = (3 * 3 * 3 * 8 + 8) + 4 * 8 + (4 * 6 * 8 * 10 + 10)
    assert cost(net.graph, net.shapes) == Cost(convolution + head, parameters)


def test_depthwise_and_separable_convolutions() -> None:
    net = Builder((4, 4, 3))
    net.depthwise("deep", "in", multiplier=2)
    net.done(net.separable("sep", "deep", 7))
    depthwise = 16 * 9 * 3 * 2
    separable = 16 * 9 * 6 + 16 * 6 * 7
    assert cost(net.graph, net.shapes).macs == depthwise + separable


def test_a_dense_layer_on_a_sequence_counts_every_place() -> None:
    net = Builder((5, 3))
    net.done(net.dense("each", "in", 7))
    assert cost(net.graph, net.shapes).macs == 5 * 3 * 7


def test_a_transposed_convolution_counts_the_places_of_its_input() -> None:
    net = Builder((4, 4, 3))
    net.done(net.add("up", "Conv2DTranspose", ["in"], (8, 8, 5), (2, 2, 5, 3), (5,), filters=5))
    assert cost(net.graph, net.shapes).macs == 16 * 2 * 2 * 5 * 3


def test_a_layer_that_is_called_twice_costs_twice_and_is_stored_once() -> None:
    once, twice = Builder((4, 4, 3)), Builder((4, 4, 3))
    once.done(once.conv("a", "in", 3))
    twice.conv("a", "in", 3)
    twice.done(twice.again("a_call1", "a", "a"))
    one, two = cost(once.graph, once.shapes), cost(twice.graph, twice.shapes)
    assert two == Cost(2 * one.macs, one.parameters)


def test_an_open_size_is_refused_by_the_name_of_the_layer() -> None:
    net = Builder((4, 4, 3))
    net.done(net.conv("a", "in", 3))
    net.shapes[Ref("a")] = (None, None, None, 3)
    with pytest.raises(RecipeError, match="'a' has the open shape"):
        cost(net.graph, net.shapes)
