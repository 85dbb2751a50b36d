"""Does a graph without some channels compute what the whole one does when these count as zero?"""

import numpy as np
import pytest
from channel_networks import Builder, run
from hypothesis import given
from hypothesis import strategies as st

from edgepack.channels.groups import removable
from edgepack.channels.macs import cost, counter
from edgepack.channels.remove import masked, remove


def residual(seed: int) -> Builder:
    net = Builder(seed=seed)
    net.relu("r0", net.bn("bn0", net.conv("stem", "in", 6, size=3)))
    net.relu("r1", net.bn("bn1", net.conv("a", "r0", 4)))
    net.bn("bn2", net.conv("b", "r1", 6, size=3))
    net.merge("add", "Add", "r0", "bn2")
    net.done(net.dense("head", net.flatten("flat", "add"), 5))
    return net


def inverted_residual_with_gate(seed: int) -> Builder:
    net = Builder(seed=seed)
    net.conv("stem", "in", 4)
    net.relu("r1", net.bn("bn1", net.conv("expand", "stem", 8)))
    net.relu("r2", net.bn("bn2", net.depthwise("deep", "r1", multiplier=2)))
    net.reshape("shape", net.pool("pool", "r2"), 1, 1, 16)
    net.conv("excite", net.relu("r3", net.conv("squeeze", "shape", 3)), 16, activation="sigmoid")
    net.merge("gate", "Multiply", "r2", "excite")
    net.merge("add", "Add", "stem", net.conv("project", "gate", 4))
    net.done(net.add("softmax", "Softmax", [net.dense("head", net.pool("pool2", "add"), 5)], (5,)))
    return net


def dense_block(seed: int) -> Builder:
    net = Builder(seed=seed)
    net.conv("stem", "in", 5)
    net.separable("a", net.relu("r1", net.bn("bn1", "stem")), 3)
    net.concat("cat1", "stem", "a")
    net.again("a2", "a", "r1")
    net.conv("b", net.relu("r2", net.bn("bn2", "cat1")), 4, size=3)
    net.concat("cat2", "cat1", "b", "a2")
    net.done(net.dense("head", net.flatten("flat", "cat2"), 5))
    return net


NETWORKS = [residual, inverted_residual_with_gate, dense_block]


@given(st.sampled_from(NETWORKS), st.integers(0, 2**16), st.integers(0, 2**16))
def test_removing_is_masking(network: object, seed: int, choice: int) -> None:
    net = network(seed)  # type: ignore[operator]
    channels = net.trace()
    keep = _some(channels, choice)
    narrow = remove(net.graph, channels, keep)
    x = np.random.default_rng(seed).normal(size=(2, 4, 4, 3))
    np.testing.assert_allclose(run(narrow, x)[0], run(masked(net.graph, channels, keep), x)[0], rtol=1e-9, atol=1e-9)


@given(st.sampled_from(NETWORKS), st.integers(0, 2**16))
def test_the_count_without_building_is_that_of_the_narrow_graph(network: object, choice: int) -> None:
    net = network(0)  # type: ignore[operator]
    channels = net.trace()
    keep = _some(channels, choice)
    narrow = remove(net.graph, channels, keep)
    assert counter(net.graph, net.shapes, channels)(keep) == cost(narrow, net.shapes)


@pytest.mark.parametrize("network", NETWORKS)
def test_channels_without_effect_can_go_and_nothing_changes(network: object) -> None:
    net = network(1)  # type: ignore[operator]
    channels = net.trace()
    keep = _some(channels, 5)
    assert not keep.all()
    for part in channels.slices:
        weight = net.graph.nodes[part.node].weights[part.weight]
        np.moveaxis(weight, part.axis, 0)[~keep[part.units]] = 0.0
    x = np.random.default_rng(2).normal(size=(2, 4, 4, 3))
    whole, narrow = run(net.graph, x)[0], run(remove(net.graph, channels, keep), x)[0]
    np.testing.assert_allclose(narrow, whole, rtol=1e-9, atol=1e-9)


def test_weights_and_configurations_shrink_and_the_original_stays() -> None:
    net = inverted_residual_with_gate(0)
    channels = net.trace()
    keep = np.ones(channels.count, dtype=bool)
    expand = next(group for group in removable(channels) if group.producers == ("expand", "excite"))
    keep[expand.units[:3]] = False
    narrow = remove(net.graph, channels, keep).nodes
    assert narrow["expand"].config["filters"] == 5
    assert narrow["excite"].config["filters"] == 10
    assert narrow["shape"].config["target_shape"] == (1, 1, 10)
    assert narrow["deep"].weights[0].shape == (3, 3, 5, 2)
    assert narrow["deep"].weights[1].shape == (10,)
    assert narrow["bn2"].weights[3].shape == (10,)
    assert narrow["squeeze"].weights[0].shape == (1, 1, 10, 3)
    assert narrow["project"].weights[0].shape == (1, 1, 10, 4)
    assert net.graph.nodes["expand"].config["filters"] == 8
    assert net.graph.nodes["expand"].weights[0].shape == (1, 1, 4, 8)


def _some(channels: object, choice: int) -> np.ndarray:
    """A random half of the removable units stays, of each group at least one."""
    rng = np.random.default_rng(choice)
    keep = np.ones(channels.count, dtype=bool)  # type: ignore[attr-defined]
    for group in removable(channels):  # type: ignore[arg-type]
        keep[group.units] = rng.random(len(group.units)) < 0.5
        keep[rng.choice(group.units)] = True
    return keep
