"""Do rewrites keep the function of real models, leave the layers that they promise, and come to an end?"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.errors import BugError
from edgepack.keras_models.rewriting import Change, rewrite

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


def _inputs(*shape: int | None) -> Any:
    from tf_keras import Input

    return Input(shape, name="samples")


def _model(inputs: Any, outputs: Any) -> Any:
    """A model whose normalisation statistics and factors are not the neutral ones of a new model."""
    from tf_keras import Model, layers

    model = Model(inputs, outputs)
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            mean, variance = rng.normal(0, 0.3, layer.moving_mean.shape), rng.uniform(0.5, 2, layer.moving_mean.shape)
            layer.set_weights([rng.uniform(0.5, 1.5, mean.shape), rng.normal(0, 0.3, mean.shape), mean, variance])
    return model


def operators() -> Any:
    import tensorflow as tf
    from tf_keras import layers

    inputs = _inputs(8, 8, 3)
    x = layers.Conv2D(4, 3, name="conv")(2.0 * inputs / 255.0 - 1.0)
    gate = tf.nn.relu6(x + 3.0) / 6.0
    x = tf.concat([x * gate, tf.nn.silu(-x)], axis=-1)
    squeezed = tf.reduce_mean(x, [1, 2], keepdims=True)
    x = x * tf.sigmoid(layers.Conv2D(8, 1, name="excite")(squeezed)) + squeezed
    return _model(inputs, layers.Dense(3, name="head")(tf.reshape(tf.maximum(x, 0.0), [-1, 288])))


def gates() -> Any:
    from tf_keras import layers

    inputs = _inputs(8, 8, 3)
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(inputs))
    hard = layers.ReLU(6.0, name="clip")(x + 3.0) * (1 / 6)
    x = layers.Multiply(name="swish")([x, hard])
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    hard = layers.ReLU(6.0, name="clip2")(layers.Conv2D(4, 1, name="excite")(squeezed) + 3.0) * (1 / 6)
    return _model(inputs, layers.Multiply(name="scaled")([x, hard]))


def speech() -> Any:
    from tf_keras import layers

    inputs = _inputs(24, 6)
    x = layers.Rescaling(0.1, name="scale")(inputs)
    x = layers.Conv1D(8, 5, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    y = layers.SeparableConv1D(8, 3, padding="same", activation="relu", name="separable")(x)
    y = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, name="causal")(layers.Dropout(0.1, name="drop")(y))
    x = layers.Concatenate(name="concat")(
        [layers.Add(name="add")([x, y]), layers.DepthwiseConv1D(3, padding="same")(x)]
    )
    x = layers.MaxPooling1D(3, 2, padding="same", name="max")(layers.ZeroPadding1D((1, 2), name="pad")(x))
    x = layers.AveragePooling1D(2, name="average")(layers.UpSampling1D(2, name="up")(x))
    x = layers.Dense(5, activation="tanh", name="mix")(layers.LSTM(8, return_sequences=True, name="lstm")(x))
    x = layers.Conv1DTranspose(4, 3, strides=2, name="wide")(layers.Conv1D(4, 1, name="last")(x))
    return _model(inputs, layers.GlobalMaxPooling1D(name="pool")(x))


def scalings() -> Any:
    from tf_keras import layers

    inputs = _inputs(8, 8, 3)
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.05, 0.06, 0.07], name="normalize")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.Rescaling(2.0, name="factor")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(layers.ZeroPadding2D(name="pad")(x))
    x = layers.Dense(2, name="head")(layers.Flatten(name="flatten")(x))
    return _model(inputs, layers.Rescaling(10.0, 4.0, name="degrees")(x))


def padded_scaling() -> Any:
    from tf_keras import layers

    inputs = _inputs(8, 8, 3)
    x = layers.Rescaling(1 / 127.5, -1, name="rescale")(inputs)
    return _model(inputs, layers.Conv2D(4, 3, padding="same", name="conv")(x))


def normalisations() -> Any:
    from tf_keras import layers

    inputs = _inputs(8, 8, 3)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization(name="late")(x)
    y = layers.BatchNormalization(name="branch")(layers.Conv2D(4, 1, name="side")(x))
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="joined")(layers.Concatenate(name="concat")([x, y])))
    x = layers.BatchNormalization(name="up_bn")(layers.Conv2DTranspose(4, 3, strides=2, name="up")(x))
    x = layers.BatchNormalization(name="features")(layers.GlobalAveragePooling2D(name="pool")(x))
    return _model(inputs, layers.Dense(2, activation="sigmoid", name="head")(x))


def shared() -> Any:
    from tf_keras import Sequential, layers

    inputs = _inputs(8, 8, 3)
    relu, conv = layers.ReLU(name="relu"), layers.Conv2D(4, 3, activation="swish", padding="same", name="conv")
    inner = Sequential(
        [layers.Conv2D(4, 3, activation="swish", name="inner"), layers.BatchNormalization(name="bn")], name="nested"
    )
    x = relu(conv(relu(conv(layers.Conv2D(4, 1, name="first")(inputs)))))
    return _model(inputs, layers.GlobalAveragePooling2D(name="pool")(inner(layers.Rescaling(3.0, name="times")(x))))


def cells() -> Any:
    """What NASNet's cells do: each next one begins with a ReLU of the same tensor."""
    from tf_keras import layers

    inputs = _inputs(8, 8, 3)
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs))
    sides = [
        layers.Conv2D(4, size, padding="same", name=f"side{size}")(layers.Activation("relu", name=f"relu{size}")(x))
        for size in (1, 3)
    ]
    return _model(inputs, layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")(sides)))


MODELS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "operators": (operators, "op_layers fold_scaling scaling_layer hard_sigmoid hard_swish", "TFOpLambda Rescaling"),
    "gates": (gates, "op_layers hard_sigmoid hard_swish", "TFOpLambda Rescaling"),
    "speech": (speech, "conv1d fold_scaling activation", "Conv1D SeparableConv1D MaxPooling1D Rescaling"),
    "scalings": (scalings, "fold_scaling", "Rescaling Normalization"),
    "padded scaling": (padded_scaling, "scaling_layer", "Rescaling"),
    "normalisations": (normalisations, "batch_normalization activation", ""),
    "cells": (cells, "twins", ""),
    "shared": (shared, "unshare flatten activation batch_normalization fold_scaling", "Sequential Rescaling"),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> Any:
    """A model, what `rewrite` made of it, the rewrites that it needs, and the classes that must be gone."""
    build, rewrites, gone = MODELS[request.param]
    model = build()
    return model, rewrite(model, quantisation=True, strict=True), rewrites, gone


def test_the_function_stays(case: Any) -> None:
    model, rewritten, _, _ = case
    samples = np.random.default_rng(9).normal(20, 30, (4, *model.input_shape[1:])).astype(np.float32)
    before, after = (np.asarray(m(samples, training=False)) for m in (model, rewritten.model))
    assert np.ptp(before) > 1e-2  # outputs that are all alike would prove nothing
    assert np.max(np.abs(after - before)) <= 1e-4 * np.max(np.abs(before))


def test_the_layers_are_what_was_promised(case: Any) -> None:
    _, rewritten, rewrites, gone = case
    assert {change.rewrite for change in rewritten.changes} == set(rewrites.split())
    found = {type(layer).__name__ for layer in rewritten.model.layers}
    assert found & set(gone.split()) == set()
    assert all(proof.kept and proof.relative_difference < 1e-4 for proof in rewritten.proofs)
    assert rewritten.warnings == []


def test_rewriting_again_changes_nothing(case: Any) -> None:
    _, rewritten, _, _ = case
    again = rewrite(rewritten.model, quantisation=True, strict=True)
    assert again.changes == () and again.model is rewritten.model


def test_every_new_layer_says_where_it_comes_from(case: Any) -> None:
    _, rewritten, _, _ = case
    assert set(rewritten.origins) >= {layer.name for layer in rewritten.model.layers}
    named = {origin for origins in rewritten.origins.values() for origin in origins}
    assert all(origins for origins in rewritten.origins.values())
    assert named == set(rewritten.layers)


def test_normalisation_that_can_be_folded_later_stays() -> None:
    rewritten = rewrite(normalisations(), quantisation=True, strict=True)
    kinds = {layer.name: type(layer).__name__ for layer in rewritten.model.layers}
    assert kinds["branch"] == "BatchNormalization"
    assert kinds["late"] == kinds["joined"] == "DepthwiseConv2D"
    assert "up_bn" not in kinds and "features" not in kinds


def test_structure_alone_leaves_what_only_quantisation_needs() -> None:
    rewritten = rewrite(gates(), quantisation=False, strict=True)
    kinds = Counter(type(layer).__name__ for layer in rewritten.model.layers)
    assert kinds["HardSwish"] == kinds["HardSigmoid"] == 1 and "TFOpLambda" not in kinds
    model = scalings()
    assert rewrite(model, quantisation=False).model is model


def test_hard_swish_is_one_builtin_operation_and_can_be_saved(tmp_path: Path) -> None:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from edgepack.keras_models.load import load
    from edgepack.keras_models.save import save
    from edgepack.keras_models.serving import serving

    save(rewrite(gates(), quantisation=True).model, tmp_path / "model.h5")
    made = serving(load(tmp_path / "model.h5"), batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([made.concrete], made.variables)
    interpreter = Interpreter(model_content=converter.convert())
    names = Counter(item["op_name"] for item in interpreter._get_ops_details())
    assert names["HARD_SWISH"] == 1


@pytest.mark.parametrize("fault", ["scale", "shape"])
def test_a_rewrite_that_changes_the_function_is_undone(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A wrong rewrite far from the output of a deep net, whose outputs hardly show it."""
    from edgepack.rewrites import unshare

    def wrong(graph: Any) -> list[Change]:
        node = graph.nodes["conv"]
        if node.config["trainable"] is False:
            return []
        kernel = node.weights[0] * 1.01 if fault == "scale" else node.weights[0][:, :, :, :2]
        graph.put(replace(node.with_config(trainable=False), weights=(kernel, *node.weights[1:])))
        return [Change("unshare", ("conv",), "wrong", ("conv",))]

    monkeypatch.setattr(unshare, "apply", wrong)
    model = padded_scaling()
    rewritten = rewrite(model, quantisation=False)
    assert rewritten.model is model and rewritten.changes == ()
    (proof,) = rewritten.proofs
    assert not proof.kept and proof.reason in rewritten.warnings[0]
    with pytest.raises(BugError, match="unshare does not keep the function"):
        rewrite(model, quantisation=False, strict=True)


def _examined(model: Any, folder: Path) -> dict[str, Any]:
    """What the doctor finds in a model; its stage, without the process around it."""
    from edgepack.doctor import _recipe_for
    from edgepack.keras_models.save import save
    from edgepack.stages import doctor
    from edgepack.stages.request import Request

    save(model, folder / "model.h5")
    recipe = _recipe_for(folder / "model.h5", custom_objects=None)
    return doctor.run(Request(recipe, folder, folder, {}, False, lambda _: None, {}))


def test_the_doctor_shows_the_model_as_it_came(tmp_path: Path) -> None:
    found = _examined(gates(), tmp_path)
    rows = {row["layer"]: row for row in found["layers"]}
    assert len(rows) == 13
    assert rows["clip"]["class"] == "ReLU"
    assert rows["clip"]["rewrite"] == ["hard_sigmoid", "hard_swish"]
    assert rows["clip2"]["rewrite"] == ["hard_sigmoid"]
    assert rows["swish"]["rewrite"] == ["hard_swish"] and rows["conv"]["rewrite"] == []
    operators_made = [row for row in rows.values() if row["class"] == "TFOpLambda"]
    assert len(operators_made) == 4 and all("op_layers" in row["rewrite"] for row in operators_made)
    assert {row["quantisation"] for row in rows.values()} == {"quantised", "passed through"}
    assert (rows["conv"]["pruning"], rows["swish"]["pruning"]) == ("pruned", "skipped")
    made = {item["rewrite"]: item for item in found["rewrites"]}
    assert set(made) == {"op_layers", "hard_sigmoid", "hard_swish"}
    assert all(item["made"] and 0 <= item["max_abs_difference"] < 1e-4 for item in made.values())
    assert found["loaded"]["max_abs_difference"] is None


def test_the_doctor_names_what_stays_in_float(tmp_path: Path) -> None:
    found = {row["layer"]: row for row in _examined(speech(), tmp_path)["layers"]}
    assert found["lstm"]["quantisation"] == "blocked" and "LSTM" in found["lstm"]["quantisation_reason"]
    assert found["stem"]["quantisation"] == "quantised" and found["stem"]["rewrite"] == ["conv1d", "fold_scaling"]
    assert found["scale"]["rewrite"] == ["conv1d", "fold_scaling"]
    assert found["samples"]["pruning_reason"] == "input"
