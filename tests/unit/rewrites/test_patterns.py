"""Are operators, gates, activations and shared layers recognised, whatever way they are written?"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hand_built import RELU, convolution, graph, kinds, node, normalization, values

from edgepack.keras_models.graph import Graph, Node, Ref
from edgepack.rewrites import activation, hard_sigmoid, hard_swish, op_layers, twins, unshare

X = np.linspace(-6, 6, 48).reshape(1, 4, 4, 3)


def operation(name: str, function: str, *args: Any, **kwargs: Any) -> Node:
    return Node(name, "TFOpLambda", {"name": name, "dtype": "float32", "function": function}, args, kwargs)


def scaling(name: str, source: str, scale: float, offset: float = 0.0) -> Node:
    return node(name, "Rescaling", source, scale=scale, offset=offset)


def relu(name: str, source: str, limit: float | None, **config: Any) -> Node:
    return node(name, "ReLU", source, **{**RELU, "max_value": limit, **config})


T = Ref("x")


@pytest.mark.parametrize(
    ("made", "kind", "expected"),
    [
        (operation("op", "__operators__.add", T, 3.0), "Rescaling", {"scale": 1.0, "offset": 3.0}),
        (operation("op", "__operators__.add", np.float32(3), T), "Rescaling", {"scale": 1.0, "offset": 3.0}),
        (operation("op", "math.subtract", T, y=3.0), "Rescaling", {"scale": 1.0, "offset": -3.0}),
        (operation("op", "math.subtract", 3.0, T), "Rescaling", {"scale": -1.0, "offset": 3.0}),
        (operation("op", "math.multiply", T, [1.0, 2.0, 3.0]), "Rescaling", {"scale": [1.0, 2.0, 3.0]}),
        (operation("op", "math.truediv", T, 4.0), "Rescaling", {"scale": 0.25, "offset": 0.0}),
        (operation("op", "math.negative", T), "Rescaling", {"scale": -1.0}),
        (operation("op", "__operators__.add", T, T), "Add", {}),
        (operation("op", "math.multiply", T, T), "Multiply", {}),
        (operation("op", "math.subtract", T, T), "Subtract", {}),
        (operation("op", "nn.relu", T), "ReLU", {"max_value": None}),
        (operation("op", "nn.relu6", T), "ReLU", {"max_value": 6.0}),
        (operation("op", "clip_by_value", T, 0.0, 1.0), "ReLU", {"max_value": 1.0}),
        (operation("op", "math.maximum", T, y=0.0), "ReLU", {"max_value": None}),
        (operation("op", "nn.leaky_relu", T, alpha=0.1), "LeakyReLU", {"alpha": 0.1}),
        (operation("op", "nn.silu", T), "Activation", {"activation": "swish"}),
        (operation("op", "math.sigmoid", T), "Activation", {"activation": "sigmoid"}),
        (operation("op", "nn.softmax", T, axis=-1), "Softmax", {"axis": -1}),
        (operation("op", "concat", [T, T], axis=-1), "Concatenate", {"axis": -1}),
        (operation("op", "reshape", T, (-1, 48)), "Reshape", {"target_shape": (48,)}),
        (operation("op", "math.reduce_mean", T, [1, 2]), "GlobalAveragePooling2D", {"keepdims": False}),
        (operation("op", "math.reduce_max", T, axis=(1, -2), keepdims=True), "GlobalMaxPooling2D", {"keepdims": True}),
    ],
    ids=lambda value: value.config["function"] if isinstance(value, Node) else "",
)
def test_an_operation_becomes_a_layer(made: Node, kind: str, expected: dict[str, Any]) -> None:
    found = graph((4, 4, 3), made)
    (change,) = op_layers.apply(found)
    new = found.nodes["op"]
    assert new.kind == kind and change.made == ("op",)
    assert {key: new.config[key] for key in expected} == expected
    assert set(new.inputs) == {T} and not new.kwargs
    assert op_layers.apply(found) == []


@pytest.mark.parametrize(
    "made",
    [
        operation("op", "math.truediv", 1.0, T),
        operation("op", "math.truediv", T, 0.0),
        operation("op", "math.truediv", T, T),
        operation("op", "math.multiply", T, np.ones((4, 1, 3))),
        operation("op", "clip_by_value", T, -1.0, 1.0),
        operation("op", "concat", [T, T], axis=0),
        operation("op", "reshape", T, (-1, 24)),
        operation("op", "math.reduce_mean", T, [1, 2, 3]),
        operation("op", "math.reduce_mean", T, 1),
        operation("op", "nn.silu", T, beta=2.0),
        operation("op", "math.erf", T),
    ],
    ids=lambda made: made.config["function"],
)
def test_an_operation_that_no_layer_expresses_stays(made: Node) -> None:
    assert op_layers.apply(graph((4, 4, 3), made)) == []


def test_tensors_of_different_rank_are_not_merged() -> None:
    pooled = node("pooled", "GlobalAveragePooling2D", "x", keepdims=False)
    product = operation("op", "math.multiply", T, Ref("pooled"))
    assert op_layers.apply(graph((4, 4, 3), pooled, product)) == []
    kept = node("pooled", "GlobalAveragePooling2D", "x", keepdims=True)
    assert len(op_layers.apply(graph((4, 4, 3), kept, product))) == 1


GATES = {
    "factor behind": [scaling("a", "x", 1, 3), relu("b", "a", 6), scaling("gate", "b", 1 / 6)],
    "factor before": [scaling("a", "x", 1 / 6, 0.5), relu("gate", "a", 1)],
}


@pytest.mark.parametrize("parts", GATES.values(), ids=GATES)
def test_a_hard_sigmoid_is_found(parts: list[Node]) -> None:
    made = graph((4, 4, 3), *parts)
    before = made.copy()
    (change,) = hard_sigmoid.apply(made)
    assert kinds(made) == ["HardSigmoid"] and change.layers == tuple(part.name for part in parts)
    assert np.allclose(values(before, X), values(made, X), atol=1e-6)


def test_other_slopes_and_bent_relus_are_no_hard_sigmoid() -> None:
    keras = [scaling("a", "x", 0.2, 0.5), relu("gate", "a", 1)]  # what tf_keras calls hard_sigmoid
    assert hard_sigmoid.apply(graph((4, 4, 3), *keras)) == []
    bent = [scaling("a", "x", 1, 3), relu("b", "a", 6, negative_slope=0.1), scaling("gate", "b", 1 / 6)]
    assert hard_sigmoid.apply(graph((4, 4, 3), *bent)) == []
    moved = [scaling("a", "x", 1, 3), relu("b", "a", 6), scaling("gate", "b", 1 / 6, 0.1)]
    assert hard_sigmoid.apply(graph((4, 4, 3), *moved)) == []


def test_a_part_that_others_read_stays_for_them() -> None:
    made = graph((4, 4, 3), *GATES["factor behind"], scaling("other", "b", 2.0), outputs=("gate", "other"))
    before = made.copy()
    assert len(hard_sigmoid.apply(made)) == 1
    assert kinds(made) == ["Rescaling", "ReLU", "HardSigmoid", "Rescaling"]
    assert np.allclose(values(before, X), values(made, X), atol=1e-6)


SWISHES: dict[str, list[Node]] = {
    "gate left": [node("gate", "HardSigmoid", "x"), node("swish", "Multiply", "gate", "x")],
    "gate right": [node("gate", "HardSigmoid", "x"), node("swish", "Multiply", "x", "gate")],
    "factor at the end": [
        scaling("a", "x", 1, 3),
        relu("b", "a", 6),
        node("c", "Multiply", "x", "b"),
        scaling("swish", "c", 1 / 6),
    ],
    "factor on x": [
        scaling("sixth", "x", 1 / 6),
        scaling("a", "x", 1, 3),
        relu("b", "a", 6),
        node("swish", "Multiply", "sixth", "b"),
    ],
}


@pytest.mark.parametrize("parts", SWISHES.values(), ids=SWISHES)
def test_a_hard_swish_is_found(parts: list[Node]) -> None:
    made = graph((4, 4, 3), *parts)
    before = made.copy()
    (change,) = hard_swish.apply(made)
    assert kinds(made) == ["HardSwish"] and change.made == ("swish",)
    assert set(change.layers) == {part.name for part in parts}
    assert np.allclose(values(before, X), values(made, X), atol=1e-6)


def test_a_gate_of_another_tensor_is_no_hard_swish() -> None:
    parts = [scaling("y", "x", 2.0), node("gate", "HardSigmoid", "y"), node("product", "Multiply", "x", "gate")]
    assert hard_swish.apply(graph((4, 4, 3), *parts)) == []


def test_an_activation_leaves_its_convolution() -> None:
    made = graph((4, 4, 3), convolution("conv", "x", 3, 3, 4, activation="sigmoid"), relu("relu", "conv", None))
    before = made.copy()
    (change,) = activation.apply(made)
    assert kinds(made) == ["Conv2D", "Activation", "ReLU"] and change.made == ("conv", "conv_sigmoid")
    assert np.allclose(values(before, X), values(made, X))
    assert activation.apply(made) == []


def test_the_output_keeps_its_name() -> None:
    made = graph((4, 4, 3), convolution("scores", "x", 1, 3, 4, activation="sigmoid"))
    before = made.copy()
    activation.apply(made)
    assert made.outputs == (Ref("scores"),) and made.nodes["scores"].kind == "Activation"
    assert np.allclose(values(before, X), values(made, X))


def test_relu_leaves_only_before_normalization_and_softmax_only_in_the_middle() -> None:
    conv = convolution("conv", "x", 1, 3, 4, activation="relu")
    assert activation.apply(graph((4, 4, 3), conv, relu("relu", "conv", 6))) == []
    made = graph((4, 4, 3), conv, normalization("bn", "conv", 4))
    assert len(activation.apply(made)) == 1 and kinds(made) == ["Conv2D", "ReLU", "BatchNormalization"]
    scores = convolution("conv", "x", 1, 3, 4, activation="softmax")
    assert activation.apply(graph((4, 4, 3), scores)) == []
    assert len(activation.apply(graph((4, 4, 3), scores, relu("relu", "conv", None)))) == 1


def shared(kind: str = "ReLU", **config: Any) -> Graph:
    first = node("relu", kind, "x", **config)
    second = replace(first, name="relu_call1", args=(Ref("relu"),), shares="relu", weights=())
    return graph((4, 4, 3), first, second)


def test_calls_of_a_layer_without_weights_are_taken_apart() -> None:
    made = shared(**RELU)
    (change,) = unshare.apply(made)
    assert change.layers == ("relu",) and change.made == ("relu_call1",)
    assert made.nodes["relu_call1"].shares is None
    assert made.nodes["relu_call1"].config["name"] == "relu_call1"
    assert unshare.apply(made) == []


def test_calls_of_a_layer_with_weights_or_of_a_users_class_stay_together() -> None:
    made = shared(**RELU)
    made.put(replace(made.nodes["relu"], weights=(np.ones(3),)))
    assert unshare.apply(made) == []
    own = shared("Mine")
    own.custom["Mine"] = object
    assert unshare.apply(own) == []


def test_activations_of_the_same_tensor_become_one_and_others_stay() -> None:
    made = graph(
        (4, 4, 3),
        relu("one", "x", None),
        relu("two", "x", None),
        relu("capped", "x", 6),
        convolution("left", "one", 1, 3, 4),
        convolution("right", "two", 1, 3, 4),
        convolution("third", "capped", 1, 3, 4),
        node("sum", "Add", "left", "right", "third"),
    )
    before = values(made, X)
    (change,) = twins.apply(made)
    assert (change.layers, change.made) == (("two", "one"), ("one",))
    assert "two" not in made.nodes and made.nodes["right"].inputs == (Ref("one"),)
    np.testing.assert_array_equal(values(made, X), before)
    assert twins.apply(made) == []


def test_twins_that_are_outputs_or_shared_stay() -> None:
    assert twins.apply(graph((4, 4, 3), relu("one", "x", 6), relu("two", "x", 6), outputs=("one", "two"))) == []
    assert twins.apply(shared(**RELU)) == []
