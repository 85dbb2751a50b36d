"""Is a damaged .onnx file refused with one sentence by everything that reads one?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgepack.errors import ConversionError
from edgepack.onnx_models import files
from edgepack.verify.layers import compare_layers
from edgepack.verify.placement import onnxruntime_nodes


def model() -> Any:
    """``x @ w``."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    weights = [numpy_helper.from_array(np.eye(2, dtype=np.float32), "w")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "tiny", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def too_few_inputs(made: Any) -> None:
    del made.graph.node[0].input[1:]


def no_such_operation(made: Any) -> None:
    made.graph.node[0].op_type = "Nothing"


def too_few_numbers(made: Any) -> None:
    made.graph.initializer[0].raw_data = b"1234"


def a_shape_without_end(made: Any) -> None:
    made.graph.initializer[0].dims[:] = [2**40, 2**40]


CHANGES = (too_few_inputs, no_such_operation, too_few_numbers, a_shape_without_end)


def test_a_whole_file_comes_back(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    assert files.read(tmp_path / "m.onnx") == model()


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_breaks_the_rules_is_refused(tmp_path: Path, change: Callable[[Any], None]) -> None:
    path = tmp_path / "m.onnx"
    made = model()
    change(made)
    path.write_bytes(made.SerializeToString())
    for read in (files.read, onnxruntime_nodes, lambda path: compare_layers(path, path, np.zeros((1, 2), np.int8))):
        with pytest.raises(ConversionError, match=r"m\.onnx") as caught:
            read(path)
        assert caught.value.fix


@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256))])
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ConversionError, match="is no valid ONNX model"):
        files.read(tmp_path / "m.onnx")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(content.replace(b"tiny", b"t\xffny"))
    with pytest.raises(ConversionError, match="is no valid ONNX model"):
        files.read(tmp_path / "m.onnx")
