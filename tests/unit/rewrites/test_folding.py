"""Do factors and offsets move into neighbours exactly, and only where that is exact?"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hand_built import CONVOLUTION, RNG, convolution, dense, graph, kinds, node, normalization, values

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.rewrites import batch_normalization, fold_scaling, scaling_layer

IMAGE = (5, 5, 3)
X = np.random.default_rng(1).normal(size=(2, *IMAGE))
BY_CHANNEL = {"scale": [0.5, 2.0, 1.5], "offset": [0.1, -0.2, 0.3]}


def scaling(name: str = "scaling", source: str = "x", **config: Any) -> Node:
    return node(name, "Rescaling", source, **{"scale": 0.5, "offset": 0.0} | config)


def depthwise(kind: str = "DepthwiseConv2D", **config: Any) -> Node:
    weights = [RNG.normal(size=(3, 3, 3, 2))]
    if kind == "SeparableConv2D":
        weights.append(RNG.normal(size=(1, 1, 6, 4)))
    config = {**CONVOLUTION, "kernel_size": (3, 3), "depth_multiplier": 2, "use_bias": False} | config
    return node("conv", kind, "scaling", weights=tuple(weights), **config)


def same_function(before: Graph, after: Graph, x: Any = X) -> bool:
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(values(before, x), values(after, x), strict=True))


@pytest.mark.parametrize("config", [{}, {"scale": -3.0, "offset": 0.7}, BY_CHANNEL], ids=["factor", "both", "channels"])
@pytest.mark.parametrize(
    "behind",
    [
        convolution("conv", "scaling", 3, 3, 4),
        convolution("conv", "scaling", 1, 3, 4, padding="same", activation="relu"),
        depthwise(),
        depthwise("SeparableConv2D"),
        dense("conv", "scaling", 3, 4),
    ],
    ids=["conv", "1x1 same", "depthwise", "separable", "dense"],
)
def test_a_scaling_is_folded_into_the_kernel_behind_it(config: dict[str, Any], behind: Node) -> None:
    made = graph(IMAGE, scaling(**config), behind)
    before = made.copy()
    (change,) = fold_scaling.apply(made)
    assert kinds(made) == [behind.kind]
    assert same_function(before, made)
    assert change.layers == ("scaling", "conv") and change.made == ("conv",)
    assert fold_scaling.apply(made) == []


def test_an_offset_stays_before_a_convolution_that_pads_with_zeros() -> None:
    made = graph(IMAGE, scaling(offset=-1.0), convolution("conv", "scaling", 3, 3, 4, padding="same"))
    assert fold_scaling.apply(made) == []
    before = made.copy()
    assert len(scaling_layer.apply(made)) == 1
    assert kinds(made) == ["DepthwiseConv2D", "Conv2D"]
    assert made.nodes["scaling"].config["trainable"] is False
    assert same_function(before, made)


def test_a_factor_passes_padding_and_flattening() -> None:
    padding = node("padding", "ZeroPadding2D", "scaling", padding=((0, 1), (1, 1)), data_format="channels_last")
    made = graph(IMAGE, scaling(scale=[0.5, 2.0, 3.0]), padding, convolution("conv", "padding", 3, 3, 4))
    before = made.copy()
    (change,) = fold_scaling.apply(made)
    assert kinds(made) == ["ZeroPadding2D", "Conv2D"] and change.differs == ("padding",)
    assert same_function(before, made)
    flat = graph(IMAGE, scaling(**BY_CHANNEL), node("flat", "Flatten", "scaling"), dense("conv", "flat", 75, 2))
    before = flat.copy()
    assert len(fold_scaling.apply(flat)) == 1
    assert kinds(flat) == ["Flatten", "Dense"]
    assert same_function(before, flat)


def test_a_chain_is_merged_and_folded_at_once() -> None:
    middle = node("norm", "Normalization", "scaling", axis=(3,), mean=[0.4, 0.5, 0.6], variance=[0.05, 0.06, 0.07])
    last = scaling("last", "norm", scale=[1.0, 1.1, 1.2], offset=0.25)
    made = graph(IMAGE, scaling(scale=1 / 255), middle, last, convolution("conv", "last", 3, 3, 4))
    before = made.copy()
    fold_scaling.apply(made)
    assert kinds(made) == ["Conv2D"]
    assert same_function(before, made, X * 255)


@pytest.mark.parametrize(
    "before_it",
    [
        convolution("conv", "x", 3, 3, 4, padding="same"),
        replace(depthwise(padding="same"), args=(Ref("x"),)),
        replace(depthwise("SeparableConv2D", padding="same"), args=(Ref("x"),)),
        dense("conv", "x", 3, 4),
        normalization("conv", "x", 3),
    ],
    ids=["conv", "depthwise", "separable", "dense", "normalization"],
)
def test_a_scaling_is_folded_into_the_linear_layer_before_it(before_it: Node) -> None:
    made = graph(IMAGE, before_it, scaling("last", "conv", scale=3.0, offset=-0.5))
    before = made.copy()
    (change,) = fold_scaling.apply(made)
    assert kinds(made) == [before_it.kind] and change.differs == ("conv",)
    assert same_function(before, made)


def test_a_kernel_that_becomes_tiny_is_frozen_and_the_change_says_so() -> None:
    made = graph(IMAGE, scaling(scale=1 / 255), convolution("conv", "scaling", 3, 3, 4))
    (change,) = fold_scaling.apply(made)
    assert made.nodes["conv"].config["trainable"] is False
    assert "no longer trained" in change.text
    half = graph(IMAGE, scaling(scale=0.5), convolution("conv", "scaling", 3, 3, 4))
    (change,) = fold_scaling.apply(half)
    assert "trainable" not in half.nodes["conv"].config and "no longer trained" not in change.text


def test_shared_kernels_and_other_readers_are_left_alone() -> None:
    conv = convolution("conv", "scaling", 1, 3, 3)
    again = replace(conv, name="conv_call1", args=(Ref("conv"),), weights=(), shares="conv")
    made = graph(IMAGE, scaling(), conv, again)
    assert fold_scaling.apply(made) == []
    relu = node("relu", "ReLU", "scaling", max_value=None)
    made = graph(IMAGE, scaling(), convolution("conv", "scaling", 1, 3, 3), relu, outputs=("conv", "relu"))
    assert fold_scaling.apply(made) == []
    given_out = graph(IMAGE, scaling(), convolution("conv", "scaling", 1, 3, 3), outputs=("conv", "scaling"))
    assert fold_scaling.apply(given_out) == []
    behind = graph(IMAGE, convolution("conv", "x", 1, 3, 3), scaling("last", "conv"), outputs=("conv", "last"))
    assert fold_scaling.apply(behind) == []
    active = graph(IMAGE, convolution("conv", "x", 1, 3, 3, activation="relu"), scaling("last", "conv"))
    assert fold_scaling.apply(active) == []


def test_a_scaling_with_two_convolutions_behind_it_goes_into_both() -> None:
    both = (convolution("left", "scaling", 3, 3, 4), convolution("right", "scaling", 1, 3, 4))
    made = graph(IMAGE, scaling(**BY_CHANNEL), *both, outputs=("left", "right"))
    before = made.copy()
    (change,) = fold_scaling.apply(made)
    assert change.made == ("left", "right")
    assert same_function(before, made)


def test_normalization_behind_a_convolution_is_left_to_be_folded_there() -> None:
    made = graph(IMAGE, convolution("conv", "x", 3, 3, 4), normalization("bn", "conv", 4))
    assert batch_normalization.apply(made) == []


@pytest.mark.parametrize("why", ["activation", "reader", "addition"])
def test_normalization_that_stands_alone_becomes_a_convolution(why: str) -> None:
    conv = convolution("conv", "x", 1, 3, 3, activation="relu" if why == "activation" else "linear")
    add = node("add", "Add", "x", "conv")
    bn = normalization("bn", "add" if why == "addition" else "conv", 3, axis=[3])
    made = graph(IMAGE, conv, add, bn, outputs=("bn", "add") if why != "activation" else ("bn",))
    before = made.copy()
    (change,) = batch_normalization.apply(made)
    assert made.nodes["bn"].kind == "DepthwiseConv2D" and made.nodes["bn"].config["trainable"] is True
    assert change.made == ("bn",)
    assert same_function(before, made)
    assert batch_normalization.apply(made) == []


def test_normalization_of_features_is_folded_into_dense_or_stays() -> None:
    x = np.random.default_rng(2).normal(size=(3, 6))
    made = graph((6,), normalization("bn", "x", 6), dense("head", "bn", 6, 2))
    before = made.copy()
    assert len(batch_normalization.apply(made)) == 1
    assert kinds(made) == ["Dense"] and same_function(before, made, x)
    relu = node("relu", "ReLU", "bn", max_value=None)
    stays = graph((6,), normalization("bn", "x", 6), relu, dense("head", "relu", 6, 2))
    assert batch_normalization.apply(stays) == []


def test_channels_in_front_are_left_alone() -> None:
    bn = normalization("bn", "x", 5, axis=[1])
    assert batch_normalization.apply(graph((5, 4, 3), bn)) == []
    conv = convolution("conv", "scaling", 1, 3, 3, data_format="channels_first")
    assert fold_scaling.apply(graph(IMAGE, scaling(), conv)) == []
