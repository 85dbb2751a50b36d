"""Does the source say what the file is, byte by byte?"""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.contracts import FirmwareContext
from edgepack.firmware import _source

TENSOR = {"name": "x", "shape": [1, 3], "dtype": "int8", "scale": 1 / 3, "zero_point": -128}
CONTEXT = FirmwareContext(
    name="gear box",
    precision="int8",
    inputs=[TENSOR],
    outputs=[{**TENSOR, "dtype": "float32", "scale": None, "zero_point": None}],
    arena_bytes=1024,
    golden_input=np.array([[-128, 0, 127]], np.int8),
    golden_output=np.array([[0.1, 0.25, -1e-9]], np.float32),
)


def written(folder: Path, content: bytes = b"abc") -> dict[str, str]:
    names = _source.write(folder, "gear_box_int8", content, ["Conv2D", "Softmax"], CONTEXT, {"ARENA_BYTES": 1024})
    return {name: (folder / name).read_text() for name in names}


@given(st.binary(max_size=100))
def test_the_array_holds_the_files_bytes(content: bytes) -> None:
    text = _source._array("m", content, CONTEXT)
    assert bytes(int(word, 16) for word in re.findall(r"0x([0-9a-f]{2})", text)) == content


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3))
def test_any_names_make_an_identifier(words: list[str]) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", _source.identifier(*words))


def test_an_identifier_keeps_what_it_can() -> None:
    assert _source.identifier("Gear-box 2", "int8") == "gear_box_2_int8"
    assert _source.identifier("8bit") == "model_8bit"


@pytest.mark.parametrize(
    ("operation", "method"),
    [
        ("CONV_2D", "Conv2D"),
        ("DEPTHWISE_CONV_2D", "DepthwiseConv2D"),
        ("FULLY_CONNECTED", "FullyConnected"),
        ("MAX_POOL_2D", "MaxPool2D"),
        ("SPACE_TO_BATCH_ND", "SpaceToBatchNd"),
        ("L2_NORMALIZATION", "L2Normalization"),
        ("RELU6", "Relu6"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTM"),
    ],
)
def test_methods_are_those_of_the_resolver(operation: str, method: str) -> None:
    # https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/micro_mutable_op_resolver.h
    assert _source.method(operation) == method


def test_the_header_names_memory_scales_and_operations(tmp_path: Path) -> None:
    header = written(tmp_path)["gear_box_int8.h"]
    for line in (
        "extern const unsigned char gear_box_int8[];",
        "#define GEAR_BOX_INT8_BYTES 3",
        "#define GEAR_BOX_INT8_ARENA_BYTES 1024",
        "#define GEAR_BOX_INT8_INPUT_SCALE 0.333333333f",
        "#define GEAR_BOX_INT8_INPUT_ZERO_POINT (-128)",
        "#define GEAR_BOX_INT8_OPERATIONS 2",
        "#define GEAR_BOX_INT8_ADD_OPERATIONS(resolver) (resolver).AddConv2D(); (resolver).AddSoftmax();",
    ):
        assert line in header.splitlines()
    assert "OUTPUT_SCALE" not in header


def test_the_golden_sample_has_the_tensors_own_numbers(tmp_path: Path) -> None:
    golden = written(tmp_path)["gear_box_int8_golden.h"]
    assert "static const int8_t gear_box_int8_golden_input[3] = {\n    -128, 0, 127,\n};" in golden
    numbers = re.search(r"golden_output\[3\] = \{\n\s*(.*),\n", golden)
    assert numbers is not None
    assert np.array_equal(np.float32(numbers[1].split(", ")), CONTEXT.golden_output[0])
