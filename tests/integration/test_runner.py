"""The runner on real LiteRT files made by TensorFlow, in processes and in a folder where nothing else is."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

import edgepack.runner
from edgepack import transports
from edgepack.runner.errors import RunnerError, UsageError
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session

RUNNER = Path(edgepack.runner.__file__).parent
FILES = ("model.float32.tflite", "model.int8.tflite")
KERNELS = ("xnnpack", "builtin", "reference")
MAKE_MODELS = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np, tensorflow as tf, tf_keras as keras
tf.keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((8, 8, 1)),
    keras.layers.Conv2D(8, 3, activation="relu", padding="same"),
    keras.layers.DepthwiseConv2D(3, activation="relu"),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(5, activation="softmax"),
])
x = np.load(sys.argv[1])
open(sys.argv[2], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
quantised = tf.lite.TFLiteConverter.from_keras_model(model)
quantised.optimizations = [tf.lite.Optimize.DEFAULT]
quantised.representative_dataset = lambda: ([sample[None]] for sample in x)
quantised.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
quantised.inference_input_type = quantised.inference_output_type = tf.int8
open(sys.argv[3], "wb").write(quantised.convert())
np.save(sys.argv[4], model.predict(x, verbose=0))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both models, their input ``x.npy`` and what Keras answers, ``keras.npy``."""
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "x.npy", np.random.default_rng(3).random((24, 8, 8, 1), dtype=np.float32))
    words = [str(folder / name) for name in ("x.npy", *FILES, "keras.npy")]
    done = subprocess.run(
        [sys.executable, "-c", MAKE_MODELS, *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    x = np.load(made / "x.npy")
    arrays, artifacts, digests = {"input": x}, [], {}
    for name in FILES:
        (folder / name).write_bytes((made / name).read_bytes())
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        with open_session("litert", folder / name) as session:
            arrays[f"output/{name}/litert"], _ = predict(session, x)
        artifacts.append(
            {
                "file": name,
                "sha256": digests[name],
                "runtimes": ["litert"],
                "tolerance": {"max_abs": 0.05, "top1": 0.9},
            }
        )
    np.savez(folder / "golden.npz", **arrays)
    digests["golden.npz"] = hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()
    manifest = {
        "schema": "edgepack.manifest/1",
        "threads": 1,
        "artifacts": artifacts,
        "golden": {"file": "golden.npz", "samples": len(x)},
        "files": digests,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("kernels", KERNELS)
def test_every_set_of_kernels_answers_as_keras_does(made: Path, kernels: str) -> None:
    x, keras = np.load(made / "x.npy"), np.load(made / "keras.npy")
    with open_session("litert", made / FILES[0], kernels=kernels) as session:
        raw, real = predict(session, x)
        assert raw.dtype == np.float32
        np.testing.assert_allclose(real, keras, atol=1e-5)
    with open_session("litert", made / FILES[1], kernels=kernels) as session:
        raw, real = predict(session, x)
        assert raw.dtype == np.int8
        np.testing.assert_allclose(real, keras, atol=0.03)


def test_tensors_are_described_with_scale_and_zero_point(made: Path) -> None:
    with open_session("litert", made / FILES[1]) as session:
        (source,), (target,) = session.inputs, session.outputs
    assert (source.shape, source.dtype) == ((-1, 8, 8, 1), "int8")
    assert source.scale == pytest.approx(1 / 255, rel=0.01)
    assert source.zero_point == -128
    assert (target.shape, target.scale, target.zero_point) == ((-1, 5), 1 / 256, -128)
    with open_session("litert", made / FILES[0]) as session:
        assert (session.inputs[0].dtype, session.inputs[0].scale) == ("float32", None)


def test_details_tell_the_delegate_that_really_ran(made: Path) -> None:
    told = {}
    for kernels in KERNELS:
        with open_session("litert", made / FILES[0], kernels=kernels) as session:
            told[kernels] = session.details
    assert told["xnnpack"]["delegate"] == "XNNPACK"
    assert told["xnnpack"]["nodes"] == told["xnnpack"]["nodes_delegated"] == 5
    assert told["xnnpack"]["partitions"] == 1
    for kernels in ("builtin", "reference"):
        assert (told[kernels]["delegate"], told[kernels]["nodes"], told[kernels]["nodes_delegated"]) == (
            None,
            5,
            0,
        )
    # XNNPACK has no int8 softmax; LiteRT runs that one node itself.
    with open_session("litert", made / FILES[1]) as session:
        assert (session.details["nodes"], session.details["nodes_delegated"]) == (5, 4)
        assert [name.split()[0] for name in session.details["not_delegated"]] == ["SOFTMAX"]
        assert (session.details["integer_nodes"], session.details["float_nodes"]) == (5, 0)
    assert (told["xnnpack"]["integer_nodes"], told["xnnpack"]["float_nodes"]) == (0, 5)
    assert told["xnnpack"]["in_float"] == []  # everything is: there is nothing to point at


def test_a_dynamic_batch_can_be_run_at_once(made: Path) -> None:
    x = np.load(made / "x.npy")
    with open_session("litert", made / FILES[0], threads=2) as session:
        name, output = session.inputs[0].name, session.outputs[0].name
        one_by_one, _ = predict(session, x)
        np.testing.assert_allclose(session.run({name: x})[output], one_by_one, atol=1e-6)
        again, _ = predict(session, x)
        np.testing.assert_array_equal(again, one_by_one)


def test_wrong_inputs_are_refused_and_a_closed_session_says_so(made: Path) -> None:
    session = open_session("litert", made / FILES[1])
    name = session.inputs[0].name
    with pytest.raises(UsageError, match="float32"):
        session.run({name: np.zeros((1, 8, 8, 1), np.float32)})
    session.close()
    session.close()
    with pytest.raises(RunnerError, match="closed"):
        session.invoke()


def test_a_file_cut_short_never_takes_the_process_down(made: Path, tmp_path: Path) -> None:
    content = (made / FILES[1]).read_bytes()
    path = tmp_path / "cut.tflite"
    for size in (0, 7, len(content) // 3, len(content) - 200):
        path.write_bytes(content[:size])
        with pytest.raises(RunnerError, match=r"cannot load cut\.tflite"):
            open_session("litert", path)


def test_the_runner_alone_measures_and_verifies_a_bundle(bundle: Path) -> None:
    with transports.connect("local") as device:
        device.push(RUNNER, PurePosixPath("runner"))
        device.push(bundle, PurePosixPath("bundle"))
        runner = [sys.executable, "-m", "runner"]
        verified = device.run([*runner, "verify", "--bundle", "bundle"], timeout_s=120)
        quick = ["--warmup-s", "0.1", "--min-time-s", "0.2"]
        measured = device.run([*runner, "bench", "--bundle", "bundle", "--threads", "2", *quick], timeout_s=120)
    assert (verified.returncode, verified.stderr) == (0, "")
    for result in json.loads(verified.stdout)["results"]:
        assert (result["status"], result["identical"]) == ("ok", True)
    assert (measured.returncode, measured.stderr) == (0, "")
    document = json.loads(measured.stdout)
    assert document["protocol"]["threads"] == 2
    for result in document["results"]:
        assert result["status"] == "ok"
        assert result["runs"] >= 50
        assert result["details"]["delegate"] == "XNNPACK"
        assert result["latency_ms"]["p50"] < 10
        assert result["peak_rss_mib"] < 200


def test_one_altered_byte_fails_with_5(bundle: Path) -> None:
    content = bytearray((bundle / FILES[1]).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / FILES[1]).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "edgepack.runner", "verify", "--bundle", str(bundle)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=RUNNER.parents[1],
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 5
    assert [result["status"] for result in json.loads(done.stdout)["results"]] == ["ok", "failed"]
    assert "model.int8.tflite is not the file that was packed" in done.stderr
