"""Does the command deploy a real bundle, and does its Triton repository answer as the bundle does?"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from google.protobuf import text_format
from support import Edgepack, read_json
from tritonclient.grpc import model_config_pb2

IMAGE = "registry.example.org/digits:1.0"


def test_the_command_writes_every_kind_beside_the_run(bundle_copy: Path, edgepack: Edgepack) -> None:
    before = sorted(bundle_copy.rglob("*"))
    done = edgepack("deploy", bundle_copy, "--image", IMAGE, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    out = bundle_copy.parent / "deploy" / bundle_copy.name
    assert document == read_json(out / "deployment.json")
    assert list(document["kinds"]) == ["aks", "compose", "eks", "gke", "kserve", "kubernetes", "triton"]
    assert document["left_out"] == {}
    assert sorted(bundle_copy.rglob("*")) == before
    again = edgepack("deploy", bundle_copy, "--image", IMAGE)
    assert again.returncode == 0, again.stderr
    assert f"{out / 'compose' / 'compose.yaml'}" in again.stdout


def test_limits_are_what_the_demo_measured(digits_bundle: Path, edgepack: Edgepack, tmp_path: Path) -> None:
    done = edgepack("deploy", digits_bundle, "--image", IMAGE, "--kind", "compose", "--out", tmp_path, "--json")
    resources = json.loads(done.stdout)["resources"]
    choice, latency = (read_json(digits_bundle / name) for name in ("manifest.json", "latency.json"))
    served = choice["choice"]["artifact"], choice["choice"]["runtime"]
    measured = latency["container"] or latency["host"]
    (peak_mib,) = (
        result["peak_rss_mib"] for result in measured["results"] if (result["artifact"], result["runtime"]) == served
    )
    assert f"peak of {peak_mib:.1f} MiB, measured" in resources["basis"]
    assert peak_mib < resources["memory_mib"] < resources["memory_limit_mib"] < 4 * peak_mib + 256


def test_triton_models_answer_golden_samples_through_what_is_configured(
    digits_bundle: Path, edgepack: Edgepack, tmp_path: Path
) -> None:
    """Triton itself is an image of many gigabytes; what it would feed and ask for is fed and asked for here."""
    done = edgepack("deploy", digits_bundle, "--kind", "triton", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    dtypes = {model_config_pb2.TYPE_FP32: np.float32, model_config_pb2.TYPE_UINT8: np.uint8}
    configs = sorted((tmp_path / "triton").glob("*/config.pbtxt"))
    assert [path.parent.name for path in configs] == ["digits_float32", "digits_int8"]
    manifest = read_json(digits_bundle / "manifest.json")
    by_name = {f"digits_{item['precision']}": item for item in manifest["artifacts"] if item["format"] == "onnx"}
    with np.load(digits_bundle / "golden.npz") as golden:
        samples, labels = golden["input"], golden["label"]
    for path in configs:
        config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
        (given,), (asked,) = config.input, config.output
        session = onnxruntime.InferenceSession(path.parent / "1" / "model.onnx", providers=["CPUExecutionProvider"])
        spec = by_name[path.parent.name]["inputs"][0]
        x = samples if spec["scale"] is None else np.rint(samples / np.float32(spec["scale"])) + spec["zero_point"]
        x = x.astype(dtypes[given.data_type])
        rows = config.max_batch_size or given.dims[0]
        dims = list(given.dims) if not config.max_batch_size else [-1, *given.dims]
        answers = [
            session.run([asked.name], {given.name: x[start : start + rows].reshape(dims)})[0]
            for start in range(0, len(x), rows)
        ]
        output = np.concatenate(answers)
        assert output.dtype == dtypes[asked.data_type]
        names = (path.parent / asked.label_filename).read_text().splitlines()
        assert names == manifest["labels"]
        assert np.mean(output.argmax(-1) == labels) > 0.8
