"""Is a net of 1-D layers lifted to 2-D as a whole, with no more Reshape layers than it needs?"""

from typing import Any

import numpy as np
from hand_built import dense, graph, kinds, node, normalization

from edgepack.keras_models.graph import Graph, Node
from edgepack.rewrites import conv1d

CONV = {
    "filters": 4,
    "kernel_size": (3,),
    "strides": (1,),
    "dilation_rate": (1,),
    "padding": "same",
    "groups": 1,
    "use_bias": False,
    "activation": "linear",
    "data_format": "channels_last",
}


def conv(name: str, source: str, channels: int = 4, **config: Any) -> Node:
    config = {**CONV, **config}
    size = config["kernel_size"][0]
    kernel = np.arange(size * channels * 4).reshape(size, channels, 4)
    return node(name, "Conv1D", source, weights=(kernel,), **config)


def pooled(name: str, source: str) -> Node:
    return node(name, "GlobalAveragePooling1D", source, keepdims=False, data_format="channels_last")


def block() -> Graph:
    parts = [
        conv("first", "x"),
        normalization("bn", "first", 4, axis=[2]),
        node("relu", "ReLU", "bn", max_value=None),
        conv("second", "relu", padding="causal", kernel_size=(5,), dilation_rate=(2,)),
        node("add", "Add", "relu", "second"),
        pooled("pool", "add"),
        dense("head", "pool", 4, 2),
    ]
    return graph((20, 4), *parts)


def test_a_residual_net_needs_one_reshape() -> None:
    made = block()
    changes = conv1d.apply(made)
    assert kinds(made) == [
        "Reshape",
        "Conv2D",
        "BatchNormalization",
        "ReLU",
        "ZeroPadding2D",
        "Conv2D",
        "Add",
        "GlobalAveragePooling2D",
        "Dense",
    ]
    assert {change.layers[0] for change in changes} == {"first", "bn", "relu", "second", "add", "pool"}
    lift = next(item for item in made.nodes.values() if item.kind == "Reshape")
    assert lift.config["target_shape"] == (20, 1, 4)
    assert made.nodes["bn"].config["axis"] == [3]
    assert conv1d.apply(made) == []


def test_kernels_gain_an_axis_and_causal_padding_stands_before_them() -> None:
    made = block()
    kernel = made.nodes["second"].weights[0]
    conv1d.apply(made)
    new = made.nodes["second"]
    assert new.weights[0].shape == (5, 1, 4, 4) and np.array_equal(new.weights[0][:, 0], kernel)
    assert (new.config["kernel_size"], new.config["dilation_rate"], new.config["padding"]) == ((5, 1), (2, 1), "valid")
    padding = made.before(new)
    assert padding is not None and padding.config["padding"] == ((8, 0), (0, 0))


def test_a_reader_that_stays_gets_three_axes_again_and_flatten_needs_none() -> None:
    lstm = node("lstm", "LSTM", "first", units=3)
    made = graph((20, 4), conv("first", "x"), lstm, outputs=("lstm", "first"))
    conv1d.apply(made)
    assert kinds(made) == ["Reshape", "Conv2D", "Reshape", "LSTM"]
    back = made.nodes["first_lower"]
    assert back.config["target_shape"] == (20, 4)
    assert [ref.node for ref in made.outputs] == ["lstm", "first_lower"]
    flat = graph((20, 4), conv("first", "x"), node("flat", "Flatten", "first"))
    conv1d.apply(flat)
    assert kinds(flat) == ["Reshape", "Conv2D", "Flatten"]


def test_a_reshape_before_the_net_is_used() -> None:
    made = graph(
        (80,), node("shape", "Reshape", "x", target_shape=(20, 4)), conv("first", "shape"), pooled("p", "first")
    )
    conv1d.apply(made)
    assert kinds(made) == ["Reshape", "Conv2D", "GlobalAveragePooling2D"]
    assert made.nodes["shape"].config["target_shape"] == (20, 1, 4)


def test_layers_before_and_dense_between_are_carried_along() -> None:
    parts = [
        node("scale", "Rescaling", "x", scale=0.1, offset=0.0),
        conv("first", "scale"),
        dense("mix", "first", 4, 4),
        conv("second", "mix"),
        pooled("pool", "second"),
    ]
    made = graph((20, 4), *parts)
    conv1d.apply(made)
    assert kinds(made) == ["Reshape", "Rescaling", "Conv2D", "Conv2D", "Conv2D", "GlobalAveragePooling2D"]
    assert made.nodes["mix"].weights[0].shape == (1, 1, 4, 4)


def test_an_open_length_is_kept_open_and_channels_in_front_are_left_alone() -> None:
    made = graph((None, 4), conv("first", "x"), pooled("pool", "first"))
    conv1d.apply(made)
    assert made.nodes["x_lift"].config["target_shape"] == (-1, 1, 4)
    front = graph((20, 4), conv("first", "x", data_format="channels_first"))
    assert conv1d.apply(front) == []
    assert conv1d.apply(graph((20, 4), dense("only", "x", 4, 4))) == []
