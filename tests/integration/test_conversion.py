"""What do models that are not the demo's become, and what is said of those that cannot be converted?"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgepack.contracts import ExportContext
from edgepack.errors import ConversionError, MissingError, RecipeError
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session
from edgepack.tflite_models.contents import open_plain

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


def _context(model: Any, folder: Path, samples: Any) -> ExportContext:
    from edgepack import extensions
    from edgepack.keras_models.save import save

    source = folder / "model.h5"
    save(model, source)

    def other(kind: str, precision: Any) -> Path:
        format_ = extensions.load("edgepack.formats", kind)
        path = folder / f"other.{precision}.{format_.SUFFIX}"
        format_.convert(format_.Config(precision=precision), path, context=context)
        return path

    context = ExportContext(source, None, samples, other, model.name)
    return context


@pytest.fixture(scope="module")
def residual() -> Any:
    """An untrained network with a residual add and a depthwise convolution, functional."""
    import tf_keras
    from tf_keras import Input, Model, layers

    tf_keras.utils.set_random_seed(0)
    inputs = Input((16, 16, 3), name="photo")
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.BatchNormalization(name="bn")(y)
    x = layers.ReLU(6.0, name="relu")(layers.Add(name="add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return Model(inputs, layers.Dense(5, activation="softmax", name="scores")(x), name="residual")


@pytest.mark.parametrize(
    ("kind", "runtime", "precision"),
    [
        *(("tflite", "litert", precision) for precision in ("float32", "int8")),
        *(("onnx", "onnxruntime", precision) for precision in ("float32", "float16", "dynamic_range", "int8")),
    ],
)
def test_converted_model_answers_as_keras_does(
    residual: Any, tmp_path: Path, kind: str, runtime: str, precision: Any
) -> None:
    from edgepack import extensions

    samples = np.random.default_rng(0).uniform(0, 1, (64, 16, 16, 3)).astype(np.float32)
    format_ = extensions.load("edgepack.formats", kind)
    path = tmp_path / f"model.{precision}.{kind}"
    dtype = {"tflite": "int8", "onnx": "uint8"}[kind] if precision == "int8" else "float32"
    format_.convert(format_.Config(precision=precision), path, context=_context(residual, tmp_path, samples))
    with open_session(runtime, path) as session:
        assert session.inputs[0].dtype == dtype
        raw, real = predict(session, samples)
    assert raw.dtype == np.dtype(dtype)
    expected = residual.predict(samples, verbose=0)
    limit = {"float32": 1e-5, "float16": 1e-3}.get(precision, 0.03)
    np.testing.assert_allclose(real, expected, atol=limit)


@pytest.mark.parametrize(
    ("precision", "kinds"),
    [
        ("float16", {TensorProto.FLOAT16}),
        ("dynamic_range", {TensorProto.INT8}),
        ("int8", {TensorProto.INT8}),
    ],
)
def test_onnx_kernels_are_stored_in_the_precision(
    residual: Any, tmp_path: Path, precision: Any, kinds: set[int]
) -> None:
    from edgepack.formats import onnx as format_

    samples = np.random.default_rng(0).uniform(0, 1, (8, 16, 16, 3)).astype(np.float32)
    path = tmp_path / "model.onnx"
    format_.convert(format_.Config(precision=precision), path, context=_context(residual, tmp_path, samples))
    kernels = [tensor for tensor in onnx.load(path).graph.initializer if len(tensor.dims) == 4]
    assert len(kernels) == 2
    assert {tensor.data_type for tensor in kernels} == kinds


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_range", "int8"])
def test_a_graph_with_channels_first_has_no_transpose_and_gives_the_same(
    residual: Any, tmp_path: Path, precision: Any
) -> None:
    from edgepack.formats import onnx as format_

    samples = np.random.default_rng(0).uniform(0, 1, (8, 16, 16, 3)).astype(np.float32)
    context = _context(residual, tmp_path, samples)
    outputs = {}
    for layout in ("nhwc", "nchw"):
        path = tmp_path / f"{layout}.onnx"
        format_.convert(format_.Config(precision=precision, layout=layout), path, context=context)
        with open_session("onnxruntime", path) as session:
            assert session.inputs[0].shape[1:] == ((16, 16, 3) if layout == "nhwc" else (3, 16, 16))
            outputs[layout] = predict(session, samples)[1]
    assert not any(node.op_type == "Transpose" for node in onnx.load(tmp_path / "nchw.onnx").graph.node)
    np.testing.assert_allclose(outputs["nchw"], outputs["nhwc"], atol=1e-5)


def test_channels_first_is_refused_for_what_has_none(tmp_path: Path) -> None:
    from tf_keras import Sequential, layers

    from edgepack.formats import onnx as format_

    model = Sequential([layers.InputLayer((6,)), layers.Dense(2)], name="table")
    config = format_.Config(precision="float32", layout="nchw")
    with pytest.raises(ConversionError, match=r"layout: nchw is for images.*\[6\]"):
        format_.convert(config, tmp_path / "m.onnx", context=_context(model, tmp_path, None))


@pytest.mark.parametrize("ends", [("uint8", "uint8"), ("float32", "float32"), ("uint8", "float32"), ("int8", None)])
def test_an_int8_file_takes_and_gives_what_is_asked_for(residual: Any, tmp_path: Path, ends: tuple[Any, Any]) -> None:
    from edgepack.formats import tflite

    samples = np.random.default_rng(0).uniform(0, 1, (64, 16, 16, 3)).astype(np.float32)
    context = _context(residual, tmp_path, samples)
    outputs = []
    for name, config in (("own", tflite.Config(precision="int8", input=ends[0], output=ends[1])), ("plain", None)):
        path = tmp_path / f"{name}.tflite"
        tflite.convert(config or tflite.Config(precision="int8"), path, context=context)
        with open_session("litert", path) as session:
            if config:
                assert (session.inputs[0].dtype, session.outputs[0].dtype) == (ends[0], ends[1] or "int8")
            outputs.append(predict(session, samples)[1])
    # Samples that lie just between two steps may be rounded either way when the file does it itself.
    np.testing.assert_allclose(outputs[0], outputs[1], atol=0.02)
    assert np.mean(outputs[0] == outputs[1]) > 0.9


def test_ends_of_other_precisions_are_not_chosen() -> None:
    from pydantic import ValidationError

    from edgepack.formats import tflite

    with pytest.raises(ValidationError, match="float32 in float16; they can be chosen for int8 only"):
        tflite.Config(precision="float16", input="uint8")


def test_the_same_model_gives_the_same_bytes(residual: Any, tmp_path: Path) -> None:
    from edgepack.keras_models.save import save

    for name in ("a.h5", "b.h5"):
        save(residual, tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_products_of_full_range_do_not_overflow(tmp_path: Path) -> None:
    """Two of 255 * 127 are more than 16 bits hold, in which processors without VNNI add them."""
    import tf_keras
    from tf_keras import layers

    from edgepack.formats import onnx as format_

    stack = [
        layers.Dense(units, "relu", kernel_initializer="ones", bias_initializer="ones", name=f"full{units}")
        for units in (64, 32, 8)
    ]
    model = tf_keras.Sequential([layers.InputLayer((64,), name="values"), *stack], name="full")
    samples = np.vstack([np.ones((1, 64)), np.random.default_rng(0).uniform(0, 1, (63, 64))]).astype(np.float32)
    context = _context(model, tmp_path, samples)
    path = tmp_path / "model.int8.onnx"
    format_.convert(format_.Config(precision="int8"), path, context=context)
    raw = []
    for runtime, file in (("onnxruntime", path), ("litert", tmp_path / "other.int8.tflite")):
        with open_session(runtime, file) as session:
            (output,) = session.outputs
            raw.append(predict(session, samples)[0].astype(int) - output.zero_point)
    assert np.abs(raw[0] - raw[1]).max() <= 1


def test_an_operation_without_a_builtin_is_named(tmp_path: Path) -> None:
    import tensorflow as tf
    from tf_keras import Input, Model

    from edgepack.formats import tflite

    inputs = Input((4,), name="x")
    model = Model(inputs, tf.math.digamma(inputs), name="special")
    with pytest.raises(ConversionError) as caught:
        tflite.convert(
            tflite.Config(precision="float32"), tmp_path / "m.tflite", context=_context(model, tmp_path, None)
        )
    assert "Digamma" in caught.value.message
    assert caught.value.fix
    assert not (tmp_path / "m.tflite").exists()


def test_a_float_weight_in_an_int8_file_is_noticed(residual: Any, tmp_path: Path) -> None:
    from edgepack.formats import onnx as onnx_format
    from edgepack.onnx_models.integer import require_int8_weights

    path = tmp_path / "float.onnx"
    onnx_format.convert(onnx_format.Config(precision="float32"), path, context=_context(residual, tmp_path, None))
    with pytest.raises(ConversionError, match="not int8"):
        require_int8_weights(onnx.load(path))


def test_doctor_names_what_blocks_each_layer() -> None:
    from tf_keras import Input, Model, Sequential, layers

    from edgepack.keras_models import inspect
    from edgepack.keras_models.rewriting import rewrite
    from edgepack.stages.doctor import QUANTISATION, by_origin

    inputs = Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="late")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.BatchNormalization(name="alone")(x)
    x = Sequential([layers.Conv2D(4, 3, name="inner"), layers.Activation("gelu", name="smooth")], name="nested")(x)
    model = Model(inputs, layers.Dense(2, name="head")(layers.Flatten(name="flatten")(x)))
    rewritten = rewrite(model, quantisation=True, strict=True)
    notes = by_origin(rewritten, inspect.quantisation(rewritten.model), QUANTISATION)
    assert {name: note.status for name, note in notes.items()} == {
        "image": "passed through",
        "rescale": "quantised",
        "conv": "quantised",
        "late": "quantised",
        "pool": "passed through",
        "alone": "quantised",
        "inner": "quantised",
        "smooth": "blocked",
        "flatten": "passed through",
        "head": "quantised",
    }
    assert "gelu" in notes["smooth"].reason
    assert rewritten.rewrites["rescale"] == ("fold_scaling",)
    assert rewritten.rewrites["late"] == rewritten.rewrites["alone"] == ("batch_normalization",)
    assert notes["late"].class_name == "DepthwiseConv2D" and notes["alone"].layer == "inner"


def test_subclassed_models_are_refused() -> None:
    import tf_keras

    from edgepack.keras_models.inspect import require_graph

    class Own(tf_keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(RecipeError, match="expected Sequential or Functional"):
        require_graph(Own())


def test_a_file_of_keras_3_without_a_model_is_refused(tmp_path: Path) -> None:
    import json
    import zipfile

    from edgepack.keras_models.load import load

    path = tmp_path / "new.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
    with pytest.raises(RecipeError, match=r"new\.keras is not a readable \.keras file .*config\.json"):
        load(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_damaged_and_absent_models_are_told_apart(tmp_path: Path, suffix: str) -> None:
    from edgepack.keras_models.load import load

    path = tmp_path / f"model{suffix}"
    with pytest.raises(MissingError):
        load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(RecipeError) as caught:
        load(path)
    assert str(path) in caught.value.message


def test_int8_onnx_has_the_same_bytes_each_time(residual: Any, tmp_path: Path) -> None:
    """tf2onnx merges equal constants out of a set: every process of its own gives other names."""
    import subprocess
    import sys

    from edgepack.formats import tflite

    samples = np.random.default_rng(0).uniform(0, 1, (16, 16, 16, 3)).astype(np.float32)
    source = tmp_path / "model.int8.tflite"
    tflite.convert(tflite.Config(precision="int8"), source, context=_context(residual, tmp_path, samples))
    program = (
        "import sys; from pathlib import Path; from edgepack.contracts import ExportContext; "
        "from edgepack.formats import onnx; "
        "source, out = map(Path, sys.argv[1:]); "
        "context = ExportContext(source, None, None, lambda kind, precision: source, 'm'); "
        "onnx.convert(onnx.Config(precision='int8'), out, context=context)"
    )
    made = []
    for index in range(3):
        out = tmp_path / f"{index}.onnx"
        subprocess.run([sys.executable, "-c", program, source, out], check=True, capture_output=True, timeout=300)
        made.append(out.read_bytes())
    assert made[0] == made[1] == made[2]


def test_tensors_that_a_layer_holds_are_constants_of_the_onnx_file(tmp_path: Path) -> None:
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(0)
    normalise = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 9.0], name="normalise")
    model = tf_keras.Sequential([layers.InputLayer((3,), name="row"), normalise, layers.Dense(2, name="out")])
    samples = np.random.default_rng(0).random((8, 3), dtype=np.float32)
    context = _context(model, tmp_path, samples)
    with open_session("onnxruntime", context.other("onnx", "float32")) as session:
        assert [spec.name for spec in session.inputs] == ["row"]
        _, outputs = predict(session, samples)
    assert np.allclose(outputs, model.predict(samples, verbose=0), atol=1e-6)


def test_hard_swish_has_a_form_in_16_bits(tmp_path: Path) -> None:
    import tf_keras
    from tf_keras import Input, Model, layers

    tf_keras.utils.set_random_seed(0)
    inputs = Input((8, 8, 3), name="photo")
    x = layers.Conv2D(8, 3, name="conv")(inputs)
    gate = layers.Rescaling(1 / 6)(layers.ReLU(6.0)(layers.Rescaling(1.0, offset=3.0)(x)))
    x = layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))
    model = Model(inputs, layers.Dense(4, name="scores")(x))
    samples = np.random.default_rng(0).random((64, 8, 8, 3), dtype=np.float32)
    context = _context(model, tmp_path, samples)
    with open_session("litert", context.other("tflite", "int16x8")) as session:
        _, outputs = predict(session, samples)
    wanted = model.predict(samples, verbose=0)
    assert np.abs(outputs - wanted).max() < 0.02 * np.ptp(wanted)


def test_every_quantised_tensor_of_the_tflite_has_its_name_in_the_onnx_file(residual: Any, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((32, 16, 16, 3), dtype=np.float32)
    context = _context(residual, tmp_path, samples)
    graph = onnx.load(context.other("onnx", "int8")).graph
    mean = next(
        str(detail["name"])
        for interpreter in [open_plain(context.other("tflite", "int8").read_bytes())]
        for operation in interpreter._get_ops_details()
        for detail in interpreter.get_tensor_details()
        if operation["op_name"] == "MEAN" and detail["index"] == operation["outputs"][0]
    )
    made = {name: node.op_type for node in graph.node for name in node.output}
    assert made[mean] == "QuantizeLinear"  # tf2onnx takes the axes of size 1 away behind it, and the name with them
