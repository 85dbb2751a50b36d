"""Does a model that int8 ruins pass its gate with a few layers in float, and are they the right ones?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import compressing
import numpy as np
import pytest

from edgepack.contracts import ExportContext, Int8, TechniqueContext
from edgepack.dataset import Dataset
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session
from edgepack.techniques import int8

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

FACTOR = 3000.0


@pytest.fixture(scope="module")
def data() -> Dataset:
    return compressing.digits()


@pytest.fixture(scope="module")
def broken(data: Dataset) -> Any:
    """A trained network in which one channel is 3,000 times as large as it was: the next layer undoes it.

    In float nothing changes. In int8 the tensor between both has one scale, in whose steps all other channels are 0.
    """
    model = compressing.network(data)
    norm, conv = model.get_layer("pointwise_bn"), model.get_layer("conv")
    gamma, beta, *rest = norm.get_weights()
    kernel, bias = conv.get_weights()
    gamma[0], beta[0], kernel[:, :, 0] = gamma[0] * FACTOR, beta[0] * FACTOR, kernel[:, :, 0] / FACTOR
    norm.set_weights([gamma, beta, *rest])
    conv.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def repaired(broken: Any, data: Dataset) -> Any:
    return int8.apply(broken, data, int8.Config(), context=gated(0.01))


def gated(limit: float | None) -> TechniqueContext:
    return replace(compressing.context(), max_accuracy_drop=limit)


def accuracy(outputs: Any, data: Dataset) -> float:
    return float(np.mean(outputs.argmax(-1) == data.targets("test")))


def written(kind: str, broken: Any, data: Dataset, folder: Path, in_float: Any) -> Path:
    """The int8 file of a model, with some layers in float."""
    from edgepack import extensions
    from edgepack.keras_models.save import save

    save(broken, folder / "model.h5")

    def other(name: str, precision: Any) -> Path:
        return make(name)

    def make(name: str) -> Path:
        path = folder / f"model.int8.{name}"
        format_ = extensions.load("edgepack.formats", name)
        format_.convert(format_.Config(precision="int8"), path, context=context)
        return path

    context = ExportContext(folder / "model.h5", None, data.calibration(256), other, "m", int8=Int8(in_float))
    return make(kind)


def test_full_int8_collapses_and_the_repaired_file_does_not(
    broken: Any, repaired: Any, data: Dataset, tmp_path: Path
) -> None:
    x = data.inputs("test")
    float_accuracy = accuracy(broken.predict(x, verbose=0), data)
    found = {}
    for name, in_float in (("plain", ()), ("repaired", repaired.int8.in_float)):
        with open_session("litert", written("tflite", broken, data, tmp_path, in_float)) as session:
            found[name] = accuracy(predict(session, x)[1], data)
    assert found["plain"] < float_accuracy - 0.3
    assert found["repaired"] > float_accuracy - 0.02


def test_the_maker_and_the_reader_of_the_wide_tensor_are_in_float(repaired: Any) -> None:
    assert sorted(repaired.int8.in_float) == ["conv", "pointwise"]
    notes = {note.layer: note for note in repaired.layers}
    assert notes["conv"].status == "passed through"
    assert notes["conv"].reason.startswith("kept in float to hold the gate; signal to noise with nothing but this in 8")
    assert notes["stem"].status == "quantised"
    assert "kernel " in notes["stem"].reason
    worst = repaired.metrics["ranking"][0]
    assert (worst["part"], set(worst["needs"])) == ("output", {"conv", "pointwise"})
    assert worst["sqnr_db"] < repaired.metrics["ranking"][1]["sqnr_db"]
    assert "in float now: " in repaired.warnings[0]


def test_kernels_of_the_others_stay_int8(broken: Any, repaired: Any, data: Dataset, tmp_path: Path) -> None:
    from edgepack.tflite_models.contents import kernels

    stored = kernels(written("tflite", broken, data, tmp_path, repaired.int8.in_float).read_bytes())
    kinds = [kernel.values.dtype.name for kernel in stored]
    assert sorted(kinds) == ["float32", "float32", "int8", "int8", "int8"]


def test_the_onnx_file_has_the_same_layers_in_float(broken: Any, repaired: Any, data: Dataset, tmp_path: Path) -> None:
    x = data.inputs("test", 200)
    outputs = []
    onnx_file = written("onnx", broken, data, tmp_path, repaired.int8.in_float)
    for runtime, path in (("onnxruntime", onnx_file), ("litert", tmp_path / "model.int8.tflite")):
        with open_session(runtime, path) as session:
            outputs.append(predict(session, x)[1])
    assert np.mean(outputs[0].argmax(-1) == outputs[1].argmax(-1)) > 0.99
    np.testing.assert_allclose(outputs[0], outputs[1], atol=0.05)


def test_what_holds_the_gate_is_left_alone(data: Dataset) -> None:
    result = int8.apply(compressing.network(data), data, int8.Config(), context=gated(0.05))
    assert result.int8.in_float == ()
    assert result.metrics["ranking"] == []
    assert len(result.metrics["tried"]) == 1
    assert not result.warnings


def test_too_few_layers_are_said_to_be_too_few(broken: Any, data: Dataset) -> None:
    result = int8.apply(broken, data, int8.Config(repair=1), context=gated(0.01))
    assert "1 layers in float are not enough" in result.warnings[0]


def test_without_a_gate_nothing_is_tried(broken: Any, data: Dataset) -> None:
    result = int8.apply(broken, data, int8.Config(exclude=("conv",)), context=gated(None))
    assert result.int8.in_float == ("conv",)
    assert not result.metrics
