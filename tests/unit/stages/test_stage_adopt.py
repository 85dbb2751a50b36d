"""Is a finished file taken as it is when it fits the data, and refused with one sentence when it does not?"""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgepack import dataset, store
from edgepack.contracts import Preprocessing, Samples
from edgepack.errors import EdgepackError
from edgepack.recipe import Recipe
from edgepack.stages import adopt
from edgepack.stages.request import Request

IMAGES = np.random.default_rng(0).integers(0, 17, (6, 4, 4, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def foreign() -> ModuleType:
    """The module that makes files as other tools make them."""
    path = Path(__file__).parents[1] / "onnx_models" / "foreign.py"
    spec = importlib.util.spec_from_file_location("foreign_for_adopt", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def adopted(folder: Path, *items: Any, scale: float = 1.0, task: str = "classification") -> dict[str, Any]:
    """Run the stage on files of a folder and images of 4 x 4 x 1 in three classes."""
    samples = Samples(IMAGES, np.arange(6) % 3)
    data = dataset.Dataset(samples, samples, samples, ("a", "b", "c"), Preprocessing(scale=scale), task=task)
    inputs, out = folder / "data", folder / "out"
    for path in (inputs, out):
        path.mkdir(exist_ok=True)
    dataset.save(data, inputs)
    recipe = Recipe.model_validate({"data": {"npz": "none"}, "model": {"artifacts": list(items)}, "targets": ["none"]})
    return adopt.run(Request(recipe, folder, out, {"data": inputs}, False, lambda _: None))


def refusal(folder: Path, *items: Any, **options: Any) -> str:
    """The one sentence, which says where in the recipe the trouble is, and comes with advice."""
    with pytest.raises(EdgepackError) as caught:
        adopted(folder, *items, **options)
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith("model.artifacts: ")
    assert caught.value.fix
    return caught.value.message.removeprefix("model.artifacts: ")


def test_files_get_names_by_what_they_are_and_keep_their_bytes(tmp_path: Path, foreign: ModuleType) -> None:
    plain = foreign.save(foreign.classifier(), tmp_path / "plain.onnx")
    integers = foreign.save(foreign.quantised(integers=False), tmp_path / "integers.onnx")
    figures = adopted(tmp_path, "integers.onnx", "plain.onnx")
    record = json.loads((tmp_path / "out" / "adopted.json").read_text())
    assert record == json.loads(json.dumps(figures["artifacts"]))
    assert [(item["file"], item["source"], item["sha256"], item["added"]) for item in record] == [
        ("model.int8.onnx", "integers.onnx", store.file_digest(integers), []),
        ("model.float32.onnx", "plain.onnx", store.file_digest(plain), []),
    ]
    assert store.file_digest(tmp_path / "out" / "model.float32.onnx") == store.file_digest(plain)


def test_without_data_files_are_only_looked_at(tmp_path: Path, foreign: ModuleType) -> None:
    foreign.save(foreign.classifier(), tmp_path / "plain.onnx")
    content = {"data": {"npz": "none"}, "model": {"artifacts": ["plain.onnx"]}, "targets": ["none"]}
    out = tmp_path / "out"
    out.mkdir()
    figures = adopt.run(Request(Recipe.model_validate(content), tmp_path, out, {}, False, lambda _: None))
    assert [item["file"] for item in figures["artifacts"]] == ["model.float32.onnx"]
    assert list(out.iterdir()) == []


def test_what_had_to_be_added_is_told(tmp_path: Path, foreign: ModuleType) -> None:
    foreign.save(foreign.quantised(), tmp_path / "integers.onnx")
    (record,) = adopted(tmp_path, "integers.onnx", scale=0.1)["artifacts"]
    assert record["added"][0] == "'image' is uint8 with scale 0.0625 and zero point 3"
    assert record["sha256"] != store.file_digest(tmp_path / "out" / record["file"])


@pytest.mark.parametrize(
    ("shape", "classes", "sentence"),
    [
        (("n", 8, 2, 1), 3, "theirs.onnx takes inputs of shape (8, 2, 1), but the data have (4, 4, 1)"),
        (("n", 16), 3, "theirs.onnx takes inputs of shape (16,), but the data have (4, 4, 1)"),
        (("n", 4, 4, 1), 2, "the model 'theirs.onnx' gives outputs of shape (2,), but the data have 3 classes"),
    ],
)
def test_files_for_other_data_are_refused(
    tmp_path: Path, foreign: ModuleType, shape: tuple[Any, ...], classes: int, sentence: str
) -> None:
    foreign.save(foreign.classifier(shape, classes=classes), tmp_path / "theirs.onnx")
    assert refusal(tmp_path, "theirs.onnx") == sentence


def test_anomalies_are_judged_by_outputs_like_inputs(tmp_path: Path, foreign: ModuleType) -> None:
    foreign.save(foreign.classifier(), tmp_path / "theirs.onnx")
    assert "`task: anomaly` expects those of the inputs" in refusal(tmp_path, "theirs.onnx", task="anomaly")


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_taken(tmp_path: Path, foreign: ModuleType, batch: int) -> None:
    foreign.save(foreign.classifier((batch, 4, 4, 1)), tmp_path / "theirs.onnx")
    (record,) = adopted(tmp_path, "theirs.onnx")["artifacts"]
    assert record["file"] == "model.float32.onnx"


def test_two_of_a_kind_are_refused_by_name(tmp_path: Path, foreign: ModuleType) -> None:
    for name in ("one.onnx", "two.onnx"):
        foreign.save(foreign.classifier(), tmp_path / name)
    sentence = "one.onnx and two.onnx are both float32 .onnx files; a bundle has one of each kind"
    assert refusal(tmp_path, "one.onnx", "two.onnx") == sentence


def test_files_with_other_numbers_of_outputs_are_refused(tmp_path: Path, foreign: ModuleType) -> None:
    foreign.save(foreign.classifier(classes=4), tmp_path / "four.onnx")
    foreign.save(foreign.quantised(integers=False), tmp_path / "three.onnx")
    sentence = refusal(tmp_path, "four.onnx", "three.onnx")
    assert sentence.startswith("four.onnx gives outputs of shape (4,) and three.onnx of shape (3,)")


def test_more_than_one_output_is_refused(tmp_path: Path, foreign: ModuleType) -> None:
    made = foreign.classifier()
    made.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("n", foreign.CLASSES)))
    foreign.save(made, tmp_path / "theirs.onnx")
    assert refusal(tmp_path, "theirs.onnx") == "theirs.onnx has 1 inputs and 2 outputs; expected one each"


def test_operations_that_nobody_has_are_named(tmp_path: Path, foreign: ModuleType) -> None:
    made = foreign.classifier()
    made.graph.node[2].op_type, made.graph.node[2].domain = "Magic", "some.company"
    made.opset_import.append(helper.make_opsetid("some.company", 1))
    foreign.save(made, tmp_path / "theirs.onnx")
    sentence = refusal(tmp_path, "theirs.onnx")
    assert sentence.startswith("theirs.onnx cannot be run: ONNX Runtime ")
    assert "some.company:Magic" in sentence


def test_a_graph_that_fails_while_it_runs_is_refused(tmp_path: Path, foreign: ModuleType) -> None:
    made = foreign.classifier(("n", "height", "width", 1))
    made.graph.node[1].input[1] = "kernel"
    made.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.zeros((9, foreign.CLASSES), np.float32), "kernel")
    )
    foreign.save(made, tmp_path / "theirs.onnx")
    assert refusal(tmp_path, "theirs.onnx").startswith("theirs.onnx fails on a sample of the data: ")


def test_integers_without_a_scale_are_whole_numbers_or_refused(tmp_path: Path, foreign: ModuleType) -> None:
    made = foreign.classifier()
    made.graph.node.insert(0, helper.make_node("Cast", ["bytes"], ["image"], to=TensorProto.FLOAT))
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("bytes", TensorProto.UINT8, ("n", 4, 4, 1)))
    foreign.save(made, tmp_path / "theirs.onnx")
    assert [item["file"] for item in adopted(tmp_path, "theirs.onnx")["artifacts"]] == ["model.float32.onnx"]
    for scale in (0.0625, -1.0):
        sentence = refusal(tmp_path, "theirs.onnx", scale=scale)
        assert sentence.startswith("theirs.onnx takes uint8 and does not tell the scale")


def test_a_number_format_that_cannot_be_told_is_asked_for(tmp_path: Path, foreign: ModuleType) -> None:
    made = foreign.classifier()
    made.graph.initializer[0].data_type = TensorProto.BFLOAT16
    foreign.save(made, tmp_path / "theirs.onnx")
    assert refusal(tmp_path, "theirs.onnx") == "theirs.onnx does not tell in which number format it computes"


def test_a_number_format_that_is_given_and_wrong_is_refused(tmp_path: Path, foreign: ModuleType) -> None:
    foreign.save(foreign.classifier(), tmp_path / "theirs.onnx")
    given = {"file": "theirs.onnx", "precision": "int8"}
    assert refusal(tmp_path, given) == "theirs.onnx computes in float32, but precision: int8 is given"


@pytest.mark.parametrize("content", [b"", b"text", b"\x1c\0\0\0TFL3" + bytes(60)])
def test_what_is_no_tflite_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "theirs.tflite").write_bytes(content)
    assert refusal(tmp_path, "theirs.tflite").startswith("theirs.tflite is no ")


def test_nodes_in_a_circle_are_refused_and_not_followed(tmp_path: Path, foreign: ModuleType) -> None:
    """In search of what a kernel's input is stored as, they would be followed forever."""
    made = foreign.classifier()
    for source, target in (("b", "a"), ("a", "b")):
        made.graph.node.append(helper.make_node("Identity", [source], [target]))
    made.graph.node[1].input[1] = "a"
    foreign.save(made, tmp_path / "theirs.onnx")
    assert refusal(tmp_path, "theirs.onnx").startswith("theirs.onnx is no valid ONNX model: ")
