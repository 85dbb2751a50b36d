"""Do limits, alternatives, the parity matrix, layers and spots say what the documents say?"""

import hashlib
import json
from pathlib import Path

import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from edgepack.report import collect, rows, verdicts
from edgepack.report.collect_layers import collect_layers
from edgepack.report.hover import Spot, apart
from edgepack.report.layers_view import files_of
from edgepack.report.limits import gate_name, limits_of, missed
from edgepack.report.matrix import matrix_of
from edgepack.report.schema import Artifact, Gate
from edgepack.report.trade import alternative

TARGET = "linux-amd64-cpu"


def artifact(name: str, content: bytes | None = None) -> Artifact:
    digest = hashlib.sha256(content).hexdigest() if content is not None else None
    return Artifact(name, "", "", digest, None, (), (), (), ())


def test_limits_tell_how_near_and_by_how_much_missed(mixed: Path) -> None:
    report = collect(mixed)
    target = report.targets[0]
    table = {row.artifact: row for row in rows(report)}
    (bar,) = limits_of(target, table["model.float32.tflite"])
    assert (bar.name, bar.value, bar.limit, bar.failed) == (
        "Accuracy drop",
        "0.00 points",
        "at most 0.40 points",
        False,
    )
    assert (bar.filled, bar.mark) == (0.0, 87.0)
    worst = missed(target)[0]
    assert (worst.missed_by, worst.whose, worst.filled) == ("0.15 points", "model.int8.tflite in LiteRT", 100.0)
    assert worst.mark == pytest.approx(72.7, abs=0.1)


@pytest.mark.parametrize(
    ("gate", "name"),
    [("max_latency_p90_ms", "Latency p90"), ("image_mib", "Image"), ("min_top1_agreement", "Top1 agreement")],
)
def test_gates_have_names_for_people(gate: str, name: str) -> None:
    assert gate_name(gate) == name


def test_a_lower_limit_is_said_as_one(mixed: Path) -> None:
    report = collect(mixed)
    row = rows(report)[1]
    target = report.targets[0]
    gate = Gate("min_accuracy", None, None, 0.9, 0.95, "ok", None)
    object.__setattr__(target, "gates", (gate,))
    assert limits_of(target, row)[0].limit == "at least 90.00 %"


def test_the_next_best_is_told_with_what_it_costs(run: Path) -> None:
    report = collect(run)
    (verdict,) = verdicts(report)
    assert alternative(verdict, rows(report)) == (
        "Next best: model.int8.onnx in ONNX Runtime, 79 % slower (0.0223 ms), 19 % larger (24.9 KiB), the same 97.78 %."
    )
    (run / TARGET / "verify.json").unlink()
    report = collect(run)
    assert alternative(verdicts(report)[0], rows(report)) is None


def test_the_matrix_has_a_cell_for_each_pair_and_no_empty_line(run: Path) -> None:
    document = json.loads((run / TARGET / "verify.json").read_text())
    document["pairs"][1] |= {"top1_agreement": 0.985, "status": "failed"}
    (run / TARGET / "verify.json").write_text(json.dumps(document))
    matrix = matrix_of(collect(run).targets[0])
    assert matrix is not None
    assert matrix.columns == (("int8.tflite", "LiteRT builtin"), ("int8.tflite", "LiteRT xnnpack"))
    assert [(name, [cell and cell.text for cell in cells]) for name, cells in matrix.rows] == [
        (("int8.tflite", "LiteRT reference"), ["100", None]),
        (("int8.onnx", "ONNX Runtime"), [None, "98.5"]),
    ]
    cell = matrix.rows[1][1][1]
    assert cell is not None
    assert (cell.grade, cell.status) == (2, "failed")
    assert ("In steps of int8", "2") in cell.facts


def test_layers_of_an_onnx_file(tmp_path: Path) -> None:
    weights = onnx.numpy_helper.from_array(__import__("numpy").ones((4, 3), "float32"), "w")
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "w"], ["y"]),
            onnx.helper.make_node("Softmax", ["y"], ["z"], name="end"),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["n", 3])],
        [weights],
    )
    content = onnx.helper.make_model(graph).SerializeToString()
    (tmp_path / "a.onnx").write_bytes(content)
    (file,) = collect_layers(tmp_path, (artifact("a.onnx", content),))
    assert [(x.name, x.operation, x.weight_bytes, x.precision, x.shape) for x in file.layers] == [
        ("y", "MatMul", 48, "float32", (0, 3)),
        ("end", "Softmax", 0, "float32", (0, 3)),
    ]


def tflite() -> bytes:
    """A file of one dense layer: int8 weights, float activations."""
    import flatbuffers
    import numpy as np

    model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    model.version, model.buffers = 3, [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.arange(6, dtype=np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    model.operatorCodes = [code]
    kinds = (
        (schema.TensorType.FLOAT32, 0, [1, 3]),
        (schema.TensorType.INT8, 1, [2, 3]),
        (schema.TensorType.FLOAT32, 0, [1, 2]),
    )
    graph.tensors = []
    for number, (kind, buffer, shape) in enumerate(kinds):
        tensor = schema.TensorT()
        tensor.type, tensor.buffer, tensor.shape, tensor.name = kind, buffer, shape, f"t{number}".encode()
        graph.tensors.append(tensor)
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_layers_of_a_tflite_file(tmp_path: Path) -> None:
    content = tflite()
    (tmp_path / "a.tflite").write_bytes(content)
    (file,) = collect_layers(tmp_path, (artifact("a.tflite", content),))
    (layer,) = file.layers
    assert (layer.name, layer.operation, layer.weight_bytes) == ("t2", "FULLY_CONNECTED", 6)
    assert (layer.precision, layer.shape) == ("float32, int8 weights", (1, 2))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.tflite", b"TFL3" * 20, "cannot be read"),
        ("a.onnx", b"\x08\xff\xff", "cannot be read"),
        ("a.h", b"", "are not looked into"),
        ("b.onnx", None, "cannot be read (No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_reason(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (file,) = collect_layers(tmp_path, (artifact(name),))
    assert file.layers == ()
    assert reason in (file.reason or "")


def test_another_file_than_the_manifest_means_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(tflite())
    (file,) = collect_layers(tmp_path, (artifact("a.tflite", b"other"),))
    assert file.reason == "a.tflite is not the file that the manifest means"


def test_layers_tell_who_ran_them(mixed: Path, runs: object) -> None:
    target = collect(mixed).targets[0]
    assert files_of(target) == (), "the files of these runs are not there"


places = st.floats(0, 90)


@given(st.lists(st.tuples(places, places, st.floats(4, 10)), min_size=1, max_size=6, unique=True))
def test_no_spot_covers_the_middle_of_another(drawn: list[tuple[float, float, float]]) -> None:
    spots = [Spot(str(i), "", (), x, y, size, size) for i, (x, y, size) in enumerate(drawn)]
    moved = apart(spots)
    assert [(spot.id, spot.width, spot.height) for spot in moved] == [(s.id, s.width, s.height) for s in spots]
    if len(moved) == 2:
        one, other = moved
        assert (
            one.left + one.width <= other.left + 0.02
            or other.left + other.width <= one.left + 0.02
            or one.top + one.height <= other.top + 0.02
            or other.top + other.height <= one.top + 0.02
        )
