"""Is the right artifact served, is it the one that was packed, and may its rows share an inference?"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgepack.runner.errors import RunnerError, UsageError
from edgepack.serving.loading import choose, load
from edgepack.serving.options import Options

MakeBundle = Callable[..., Path]


def double(path: Path, *, one_row_inside: bool = False) -> None:
    """y = 2 x for rows of three, with a free batch axis, or one that is free in name only."""
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"])]
    constants = [numpy_helper.from_array(np.array([2], np.float32), "two")]
    if one_row_inside:
        nodes.insert(0, helper.make_node("Reshape", ["x", "shape"], ["row"]))
        nodes[1] = helper.make_node("Mul", ["row", "two"], ["y"])
        constants.append(numpy_helper.from_array(np.array([1, 3], np.int64), "shape"))
    graph = helper.make_graph(
        nodes,
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Writes a bundle of two .onnx files; the manifest can be changed."""

    def make(*, one_row_inside: bool = False, **changed: Any) -> Path:
        artifacts = []
        for name in ("model.float32.onnx", "model.other.onnx"):
            double(tmp_path / name, one_row_inside=one_row_inside)
            digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
            artifacts.append({"file": name, "sha256": digest, "runtimes": ["onnxruntime", "openvino"]})
        manifest = {
            "schema": "edgepack.manifest/1",
            "name": "double",
            "threads": 1,
            "preprocessing": {"scale": 2.0, "offset": 1.0},
            "labels": ["a", "b", "c"],
            "artifacts": artifacts,
            **changed,
        }
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("choice", "said", "expected"),
    [
        (None, {}, ("model.float32.onnx", "onnxruntime")),
        ({"artifact": "model.other.onnx", "runtime": "openvino"}, {}, ("model.other.onnx", "openvino")),
        ({"artifact": "model.gone.onnx", "runtime": "openvino"}, {}, ("model.float32.onnx", "onnxruntime")),
        (
            {"artifact": "model.other.onnx", "runtime": "openvino"},
            {"artifact": "model.float32.onnx"},
            ("model.float32.onnx", "onnxruntime"),
        ),
        (
            {"artifact": "model.other.onnx", "runtime": "openvino"},
            {"runtime": "onnxruntime"},
            ("model.float32.onnx", "onnxruntime"),
        ),
    ],
)
def test_what_is_said_comes_before_the_manifests_choice_and_that_before_the_first(
    choice: Any, said: dict[str, str], expected: tuple[str, str], make_bundle: MakeBundle
) -> None:
    entry, _ = choose(Options(bundle=make_bundle(choice=choice), **said))  # type: ignore[arg-type]
    assert (entry.name, entry.runtime) == expected


@pytest.mark.parametrize(("inside", "rows"), [(False, 8), (True, 1)])
def test_rows_share_an_inference_only_where_the_model_really_takes_them(
    inside: bool, rows: int, make_bundle: MakeBundle
) -> None:
    loaded = load(Options(bundle=make_bundle(one_row_inside=inside), max_batch=8, instances=2))
    try:
        assert (loaded.model.max_rows, loaded.model.batched, len(loaded.runs)) == (rows, not inside, 2)
        assert loaded.model.preprocessing == (2.0, 1.0)
        assert loaded.model.facts["labels"] == ["a", "b", "c"]
        for run in loaded.runs:
            assert run({"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[2, 2, 2]]
    finally:
        loaded.close()


def test_a_file_that_was_altered_is_not_served(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    with (bundle / "model.float32.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(UsageError, match=r"model\.float32\.onnx is not the file that was packed"):
        load(Options(bundle=bundle))


@pytest.mark.parametrize("told", [{"scale": 1}, {"scale": "x", "offset": 0}, {"scale": float("inf"), "offset": 0}, [1]])
def test_preprocessing_that_is_none_is_refused(told: Any, make_bundle: MakeBundle) -> None:
    with pytest.raises(UsageError, match="the manifest's preprocessing is"):
        load(Options(bundle=make_bundle(preprocessing=told)))


def test_a_damaged_file_is_the_runtimes_word(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    (bundle / "model.float32.onnx").write_bytes(b"damaged")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["artifacts"][0]["sha256"] = hashlib.sha256(b"damaged").hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunnerError, match="ONNX Runtime"):
        load(Options(bundle=bundle))
