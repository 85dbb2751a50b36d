"""Is the number format read off ``.onnx`` files as other tools write them?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime import quantization

from edgepack.onnx_models.precision import precision_of

from . import foreign


class Samples(quantization.CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime has no type information
    """Eight images of noise."""

    def __init__(self) -> None:
        noise = np.random.default_rng(0).random((8, 1, 4, 4, 1)).astype(np.float32)
        self._left: Iterator[dict[str, Any]] = iter([{"image": image} for image in noise])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return foreign.save(foreign.classifier(), tmp_path / "float.onnx")


@pytest.mark.parametrize(
    ("form", "activation", "expected"),
    [
        ("QDQ", "QUInt8", "int8"),
        ("QDQ", "QInt8", "int8"),
        ("QDQ", "QUInt16", "int16x8"),
        ("QOperator", "QUInt8", "int8"),
        ("QOperator", "QInt8", "int8"),
    ],
)
def test_statically_quantised_files_are_known_by_their_activations(
    plain: Path, tmp_path: Path, form: str, activation: str, expected: str
) -> None:
    quantization.quantize_static(
        plain,
        tmp_path / "quantised.onnx",
        Samples(),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[activation],
        weight_type=quantization.QuantType.QInt8,
    )
    assert precision_of(onnx.load(tmp_path / "quantised.onnx")) == expected


def test_dynamically_quantised_files_are_dynamic_range(plain: Path, tmp_path: Path) -> None:
    quantization.quantize_dynamic(plain, tmp_path / "dynamic.onnx")
    assert precision_of(onnx.load(tmp_path / "dynamic.onnx")) == "dynamic_range"


@pytest.mark.parametrize(("kind", "expected"), [(TensorProto.FLOAT, "float32"), (TensorProto.FLOAT16, "float16")])
def test_files_without_integers_are_known_by_their_weights(kind: int, expected: str) -> None:
    assert precision_of(foreign.classifier(kind=kind)) == expected


@pytest.mark.parametrize("integers", [True, False])
def test_integer_ends_are_not_needed_for_int8(integers: bool) -> None:
    assert precision_of(foreign.quantised(integers=integers)) == "int8"


def test_integer_weights_with_float_activations_are_dynamic_range() -> None:
    made = foreign.quantised(integers=False)
    del made.graph.node[:2]  # image -> QuantizeLinear -> DequantizeLinear -> Flatten
    made.graph.node[0].input[0] = "image"
    onnx.checker.check_model(made, full_check=True)
    assert precision_of(made) == "dynamic_range"


def test_weights_of_four_bits_are_not_guessed() -> None:
    made = foreign.classifier()
    made.graph.initializer[0].data_type = TensorProto.INT4
    assert precision_of(made) is None


def test_kernels_inside_a_branch_are_seen() -> None:
    inner = foreign.classifier(kind=TensorProto.FLOAT16).graph
    kernel = inner.initializer[0]
    then = helper.make_graph(
        [helper.make_node("MatMul", ["x", "kernel"], ["y"])],
        "then",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ("n", foreign.CLASSES))],
        [kernel],
    )
    branch = helper.make_node("If", ["yes"], ["z"], then_branch=then, else_branch=then)
    ends = (
        ("yes", TensorProto.BOOL, ()),
        ("x", TensorProto.FLOAT16, ("n", foreign.PIXELS)),
        ("z", TensorProto.FLOAT16, ("n", foreign.CLASSES)),
    )
    assert precision_of(foreign.model([branch], {}, *ends)) == "float16"
