"""Is everything refused that a saved model would run, and nothing that Keras itself writes?"""

from typing import Any

import pytest

from edgepack.errors import RecipeError
from edgepack.keras_models.trust import require_plain


def layer(kind: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": {"name": "one", **config}, "registered_name": None}


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": "tf_keras.src.engine.functional",
        "class_name": "Functional",
        "config": {"name": "whole", "layers": list(layers)},
        "registered_name": "Functional",
    }


def function(module: str | None, name: object) -> dict[str, Any]:
    return {"class_name": "function", "module": module, "config": name, "registered_name": "function"}


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (layer("Lambda", function=["4wEAAA==", None, None], function_type="lambda"), "the Lambda layer 'one'"),
        (layer("Lambda", function={"class_name": "__lambda__", "config": {"code": ""}}), "the Lambda layer 'one'"),
        (layer("Lambda", function=function("os", "system"), arguments={"command": "id"}), "'system' of 'os'"),
        (layer("Dense", activation=function("os", "system")), "'system' of 'os'"),
        (layer("Dense", activation=function("builtins", "exec")), "'exec' of 'builtins'"),
        (layer("Dense", activation=function("keras.utils", "get_file")), "'get_file' of 'keras.utils'"),
        (layer("Dense", activation=function("tensorflow.python.ops.gen_io_ops", "write_file")), "'write_file'"),
        (layer("system", "os"), "'system', which is not a class"),
        (layer("get_file", "keras.utils"), "'get_file', which is not a class"),
        (layer("Popen", "subprocess"), "the class 'Popen' of 'subprocess'"),
        (layer("Bidirectional", layer=layer("Lambda", function=["4wEAAA=="])), "the Lambda layer 'one'"),
        (layer("TFOpLambda", "tf_keras.src.layers.core.tf_op_layer", function="io.write_file"), "'io.write_file'"),
        (layer("TFOpLambda", None, function="load_library"), "'load_library' of TensorFlow"),
        (layer("TFOpLambda", None, function="keras.utils.get_file"), "'keras.utils.get_file' of TensorFlow"),
        (layer("ClassMethod", None, cls_symbol="io.TFRecordWriter"), "a method of 'io.TFRecordWriter'"),
        (layer(["Dense"]), "which is not a class"),  # type: ignore[arg-type]
    ],
)
def test_code_is_refused_and_named(part: dict[str, Any], named: str) -> None:
    with pytest.raises(RecipeError, match="code inside a file is not run") as caught:
        require_plain(model(layer("Dense"), part), ())
    assert named in caught.value.message
    assert "custom_objects" in caught.value.fix


@pytest.mark.parametrize(
    "part",
    [
        layer("Dense", activation="relu", kernel_initializer=layer("GlorotUniform", "keras.initializers", seed=None)),
        layer("Dense", activation=function("builtins", "relu")),
        layer("Dense", activation=function("tensorflow.python.ops.gen_nn_ops", "relu")),
        layer("Activation", activation=function("keras.activations", "hard_sigmoid")),
        layer("TFOpLambda", "tf_keras.src.layers.core.tf_op_layer", function="math.reduce_mean"),
        layer("TFOpLambda", None, function="compat.v1.nn.relu6"),
        layer("TFOpLambda", None, function="clip_by_value"),
        layer("SlicingOpLambda", None, function="__operators__.getitem"),
        layer("QuantizeWrapperV2", "tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper"),
        layer("Add", "keras.src.ops.numpy"),
        {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}},
    ],
)
def test_what_keras_writes_is_taken(part: dict[str, Any]) -> None:
    require_plain(model(part), ())


def test_the_users_own_layers_and_functions_are_taken() -> None:
    own = {"Gate", "bent"}
    for part in (
        layer("Gate", "their_file"),
        {**layer("X", "their_file"), "registered_name": "pkg>Gate"},
        layer("Dense", activation=function("their_file", "bent")),
        layer("Lambda", function=function("their_file", "bent")),
        layer("Lambda", function="bent", function_type="function"),
    ):
        require_plain(model(part), own)
        with pytest.raises(RecipeError):
            require_plain(model(part), ())


def test_a_registered_name_does_not_vouch_for_a_function() -> None:
    part = layer("Dense", activation={**function("os", "system"), "registered_name": "bent"})
    with pytest.raises(RecipeError, match="'system' of 'os'"):
        require_plain(model(part), {"bent"})
