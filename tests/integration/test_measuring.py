"""Comparisons, baselines and histories of real files; how sure they are is measured by benchmarks/measuring.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import Edgepack

from edgepack import history

NAME = "network.onnx"


def network(path: Path, layers: int) -> Path:
    """Convolutions of 16 channels over 24 x 24, one after the other: a network in which a layer can be doubled."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.normal(0, 0.1, (16, 16, 3, 3)).astype(np.float32), f"w{number}")
        for number in range(layers)
    ]
    names = ["x", *(f"h{number}" for number in range(1, layers)), "y"]
    nodes = [
        helper.make_node("Conv", [names[number], f"w{number}"], [names[number + 1]], pads=[1, 1, 1, 1])
        for number in range(layers)
    ]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 24, 24]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "network", tensors[:1], tensors[1:], weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def baseline(edgepack: Edgepack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network, its baseline, and a history of one point."""
    folder = tmp_path_factory.mktemp("baseline")
    words = (network(folder / NAME, 2), "--quick", "--baseline", folder / "baseline.json", "--history", folder)
    done = edgepack("bench", *words, "--save-baseline")
    assert done.returncode == 0, done.stderr
    return folder


def test_noise_alone_does_not_fail_and_history_goes_on(edgepack: Edgepack, baseline: Path) -> None:
    words = (baseline / NAME, "--quick", "--baseline", baseline / "baseline.json", "--history", baseline, "--json")
    done = edgepack("bench", *words)
    assert done.returncode == 0, done.stderr
    (judgement,) = json.loads(done.stdout)["judgements"]
    assert judgement["verdict"] in ("ok", "cannot tell")
    ((key, points),) = history.series(history.read(baseline)).items()
    assert (key.lineage, key.runtime, key.threads, len(points)) == (NAME, "onnxruntime", 1, 2)
    assert len(points[-1]["processes_p50_ms"]) == 5 and points[-1]["flags"][0] in ("quick", "contention")


def test_a_planted_regression_is_caught(edgepack: Edgepack, baseline: Path) -> None:
    slower = network(baseline / "slower" / NAME, 10)
    done = edgepack("bench", slower, "--quick", "--baseline", baseline / "baseline.json", "--fail-above", "5%")
    assert done.returncode == 7, done.stdout
    assert f"{NAME} with onnxruntime became slower" in done.stderr
    assert "95 % interval" in done.stderr and "cores" in done.stderr and "--save-baseline" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--threads", "2"], 2, "threads 1, now 2"),
        (["--fail-above", "5"], 2, "write it as 5%"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    edgepack: Edgepack, baseline: Path, words: list[str], code: int, said: str
) -> None:
    done = edgepack("bench", baseline / NAME, "--quick", "--baseline", baseline / "baseline.json", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_missing_baseline_is_said_before_anything_is_measured(edgepack: Edgepack, baseline: Path) -> None:
    done = edgepack("bench", baseline / NAME, "--baseline", baseline / "absent.json")
    assert done.returncode == 3
    assert "write one first" in done.stderr


def test_files_of_a_bundle_are_compared_on_its_golden_samples(edgepack: Edgepack, digits_bundle: Path) -> None:
    done = edgepack(
        "compare", digits_bundle / "model.int8.tflite", digits_bundle / "model.float32.onnx", "--quick", "--json"
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["device"] == {"address": "local", "name": "local", "simulated": False}
    (found,) = document["comparisons"]
    assert (found["a"]["runtime"], found["b"]["runtime"]) == ("litert", "onnxruntime")
    assert found["a"]["input"] == found["b"]["input"] == "golden samples of the bundle, cycled"
    low, high = found["interval"]
    assert low <= found["ratio"] <= high
    assert found["significant"] == (not low <= 1 <= high)


def test_a_verdict_is_printed_for_people(edgepack: Edgepack, baseline: Path) -> None:
    slower = network(baseline / "much" / NAME, 12)
    done = edgepack("compare", baseline / NAME, slower, "--quick")
    assert done.returncode == 0, done.stderr
    assert "A is faster: B takes" in done.stdout
    assert "99 % interval" in done.stdout
