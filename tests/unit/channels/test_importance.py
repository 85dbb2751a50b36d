"""Is each measure of importance the one of its paper?"""

from dataclasses import replace

import numpy as np
from channel_networks import Builder

from edgepack.channels import importance
from edgepack.channels.groups import Group, removable
from edgepack.channels.symbols import Channels


def residual() -> tuple[Builder, Channels, list[Group]]:
    net = Builder()
    net.bn("bn0", net.conv("stem", "in", 4))
    net.conv("mid", "bn0", 3)
    net.bn("bn1", net.conv("b", "mid", 4))
    net.merge("add", "Add", "bn0", "bn1")
    net.done(net.dense("head", net.flatten("flat", "add"), 5))
    channels = net.trace()
    return net, channels, removable(channels)


def test_l1_is_the_mean_magnitude_over_all_makers_relative_to_the_group() -> None:
    net, channels, groups = residual()
    scores = importance.l1(net.graph, channels, groups)
    joined, alone = groups
    stem, b = (net.graph.nodes[name].weights[0] for name in ("stem", "b"))
    sums = np.abs(stem).sum(axis=(0, 1, 2)) + np.abs(b).sum(axis=(0, 1, 2))
    expected = sums / (3 + 3)  # one 1x1 kernel over 3 inputs each
    np.testing.assert_allclose(scores[joined.units], expected / expected.mean())
    mid = np.abs(net.graph.nodes["mid"].weights[0]).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(scores[alone.units], mid / mid.mean())


def test_batch_norm_is_the_mean_factor_and_falls_back_to_scaled_l1() -> None:
    net, channels, groups = residual()
    scores = importance.batch_norm(net.graph, channels, groups)
    joined, alone = groups
    gammas = [np.abs(net.graph.nodes[name].weights[0]) for name in ("bn0", "bn1")]
    expected = (gammas[0] + gammas[1]) / 2
    np.testing.assert_allclose(scores[joined.units], expected)
    l1 = importance.l1(net.graph, channels, groups)
    np.testing.assert_allclose(scores[alone.units], l1[alone.units] * expected.mean())


def test_batch_norm_without_factors_uses_l1() -> None:
    net, channels, groups = residual()
    for name in ("bn0", "bn1"):
        node = net.graph.nodes[name]
        net.graph.put(replace(node, config={**node.config, "scale": False}))
    np.testing.assert_allclose(
        importance.batch_norm(net.graph, channels, groups), importance.l1(net.graph, channels, groups)
    )


def test_taylor_squares_the_change_of_the_loss_over_everything_that_takes_a_channel() -> None:
    net, channels, groups = residual()
    rng = np.random.default_rng(3)
    batches = [
        {
            (part.node, part.weight): rng.normal(size=net.graph.nodes[part.node].weights[part.weight].shape)
            for part in channels.slices
            if part.role == "takes"
        }
        for _ in range(2)
    ]
    scores = importance.taylor(net.graph, channels, batches)
    joined, alone = groups
    mid, b, head = (net.graph.nodes[name].weights[0] for name in ("mid", "b", "head"))
    changes = []
    for gradients in batches:
        by_mid = (mid * gradients[("mid", 0)]).sum(axis=(0, 1, 3))
        # 16 positions of 4 channels each, channels innermost
        by_head = (head * gradients[("head", 0)]).reshape(16, 4, 5).sum(axis=(0, 2))
        changes.append(by_mid + by_head)
    np.testing.assert_allclose(scores[joined.units], np.mean(np.square(changes), axis=0))
    by_b = [(b * gradients[("b", 0)]).sum(axis=(0, 1, 3)) for gradients in batches]
    np.testing.assert_allclose(scores[alone.units], np.mean(np.square(by_b), axis=0))
