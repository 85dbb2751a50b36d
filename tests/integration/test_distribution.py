"""Do several devices and several machines learn what one device learns?"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT, TIMEOUT_S, Edgepack, command, read_json

SCRIPT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from compressing import digits, network
from edgepack.contracts import TechniqueContext
from edgepack.schedules import one_cycle
from edgepack.techniques import prune, qat
from edgepack.training import distribution
from edgepack.training.checkpoints import Places
from edgepack.training.config import Training

training = Training(**json.loads(sys.argv[2]))
distribution.strategy(training.distribution)

import numpy as np
import tf_keras
from edgepack.stages.determinism import make_deterministic
from edgepack.training.fit import fit
from tf_keras import layers

make_deterministic(0)
data = digits(600, 200, 200)
# Smooth everywhere: with ReLU or max-pooling a rounding can take the other branch, and then it is no longer a rounding.
inputs = x = layers.Input((8, 8, 1))
for filters in (8, 16):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{filters}")(x)
    x = layers.BatchNormalization(momentum=0.8, name=f"bn{filters}")(x)
    x = layers.AveragePooling2D(2)(layers.Activation("swish")(x))
x = layers.GlobalAveragePooling2D()(x)
model = tf_keras.Model(inputs, layers.Dense(10, activation="softmax", name="classes")(x))
options = dict(epochs=3, learning_rate=0.05, schedule=one_cycle.Config(), seed=0, progress=lambda _: None, label="test")
fitted = fit(model, data, training, **options)
found = {"curve": fitted.curve}
names = [weight.name for weight in model.weights]
arrays = dict(zip(names, model.get_weights()))
if "steps" in sys.argv:
    context = TechniqueContext(training.for_steps(), seed=0, progress=lambda _: None)
    pruned = prune.apply(model, data, prune.Config(sparsity=0.5, epochs=2), context=context)
    found["sparsity"] = pruned.metrics["sparsity"]
    quantised = qat.apply(pruned.model, data, qat.Config(epochs=1), context=context)
    found["qat"] = dict(quantised.metrics)
    from edgepack.formats.tflite import integer_file
    from edgepack.tflite_models.contents import float_operations, sparsity
    content = integer_file(quantised.model, data.calibration(50))
    found |= {"float_operations": float_operations(content), "file_sparsity": sparsity(content)}
np.savez(sys.argv[3] + ".npz", **arrays)
Path(sys.argv[3] + ".json").write_text(json.dumps(found))
"""

TRAINING = {"batch_size": 48, "optimizer": "sgd", "augment": {"shift": 1}, "mixup": 0.2, "weight_decay": 1e-4}


def start(
    folder: Path, name: str, training: dict[str, Any], *words: str, **environment: str
) -> subprocess.Popen[bytes]:
    arguments = (str(ROOT / "tests/integration"), json.dumps(training), str(folder / name), *words)
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1", **environment},
            stderr=log,
        )


def finish(folder: Path, name: str, process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        code = process.wait(TIMEOUT_S)
    finally:
        process.kill()
    assert code == 0, (folder / f"{name}.log").read_text()[-3000:]
    with np.load(folder / f"{name}.npz") as arrays:
        return dict(arrays), read_json(folder / f"{name}.json")


def cluster(index: int, ports: tuple[int, int]) -> str:
    workers = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})


@pytest.fixture(scope="module")
def one_device(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("one")
    return finish(folder, "one", start(folder, "one", TRAINING))


def same(found: tuple[dict[str, Any], dict[str, Any]], expected: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Weights within float tolerance; the fused kernel's moving variance has Bessel's correction, the other has not."""
    assert found[0].keys() == expected[0].keys()
    for name, weight in expected[0].items():
        tolerance = 2e-3 if "moving_variance" in name else 1e-5
        np.testing.assert_allclose(found[0][name], weight, atol=tolerance, err_msg=name)
    for one, other in zip(found[1]["curve"], expected[1]["curve"], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["val_accuracy"] == pytest.approx(other["val_accuracy"], abs=0.011)


@pytest.mark.parametrize("devices", [2, 4])
def test_devices_learn_what_one_device_learns(tmp_path: Path, one_device: Any, devices: int) -> None:
    """Mixed samples, shifted images, BatchNormalization with statistics of the whole batch; then pruning and QAT."""
    training = {**TRAINING, "distribution": {"strategy": "mirrored", "devices": devices}}
    words = ("steps",) if devices == 2 else ()
    found = finish(tmp_path, "several", start(tmp_path, "several", training, *words))
    same(found, one_device)
    if devices == 2:
        assert found[1]["sparsity"] == pytest.approx(0.5, abs=0.01)
        assert found[1]["file_sparsity"] >= 0.45
        assert found[1]["float_operations"] == []
        assert found[1]["qat"]["tflite_sqnr_db"] > 20


def test_statistics_of_their_own_are_not_those_of_the_batch(tmp_path: Path, one_device: Any) -> None:
    """What `synchronized` is for: without it replicas normalise by their own part of the batch."""
    training = {
        **TRAINING,
        "distribution": {"strategy": "mirrored", "devices": 2},
        "batch_normalization": {"synchronized": False},
    }
    found, _ = finish(tmp_path, "own", start(tmp_path, "own", training))
    differences = [np.abs(found[name] - weight).max() for name, weight in one_device[0].items() if "kernel" in name]
    assert max(differences) > 1e-3


def test_machines_learn_what_one_device_learns(tmp_path: Path, one_device: Any) -> None:
    training = {**TRAINING, "distribution": {"strategy": "multi_worker", "timeout_s": 120}}
    ports = free_ports()
    names = ("first", "second")
    processes = [start(tmp_path, name, training, TF_CONFIG=cluster(i, ports)) for i, name in enumerate(names)]
    for name, process in zip(names, processes, strict=True):
        same(finish(tmp_path, name, process), one_device)


def free_ports() -> tuple[int, int]:
    import socket

    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


RECIPE = """
name: cluster
data: {sklearn: digits, image_shape: [8, 8, 1], preprocessing: {scale: 0.0625}}
model: {zoo: small_cnn, args: {filters: [8, 16]}}
training:
  epochs: 6
  batch_size: 40
  optimizer: sgd
  learning_rate: 0.05
  distribution: {strategy: multi_worker, timeout_s: 120}
export: [{format: tflite, precision: float32}]
targets: [linux-amd64-cpu]
"""


def test_a_worker_that_dies_ends_the_run_and_nothing_but_its_epoch_is_lost(tmp_path: Path, edgepack: Edgepack) -> None:
    """The survivor ends with exit code 6 and one sentence; both started again go on from the last common epoch."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def run(index: int, ports: tuple[int, int], *words: str) -> subprocess.Popen[bytes]:
        argv = command("run", "recipe.yaml", "--out", f"out-{index}", "--to", "verify", *words)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": cluster(index, ports)}
        with (tmp_path / f"{index}.log").open("wb") as log:
            return subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=log, stderr=log)

    ports = free_ports()
    chief, worker = run(0, ports), run(1, ports)
    kept = tmp_path / "out-1" / "cluster" / "cache"
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not list(kept.glob(".checkpoints-train-*/*/epoch-2.index")):
            assert time.monotonic() < deadline
            assert chief.poll() is None, (tmp_path / "0.log").read_text()
            time.sleep(0.02)
        worker.send_signal(signal.SIGKILL)
        assert chief.wait(TIMEOUT_S) == 6
    finally:
        chief.kill()
        worker.kill()
    said = (tmp_path / "0.log").read_text()
    assert f"lost the others (127.0.0.1:{ports[1]})" in said
    assert "goes on from the last epoch" in " ".join(said.split())
    ports = free_ports()
    again = [run(index, ports) for index in (0, 1)]
    try:
        codes = [process.wait(TIMEOUT_S) for process in again]
    finally:
        for process in again:
            process.kill()
    assert codes == [0, 0], (tmp_path / "0.log").read_text()
    assert "has done its part; the results are with worker 0" in " ".join((tmp_path / "1.log").read_text().split())
    assert not (tmp_path / "out-1" / "cluster" / "linux-amd64-cpu").exists()
    manifest = tmp_path / "out-0" / "cluster" / "linux-amd64-cpu" / "manifest.json"
    assert manifest.exists()
    (record,) = (tmp_path / "out-0" / "cluster" / "cache").glob("train-*/training.json")
    assert [entry["epoch"] for entry in read_json(record)["curve"]] == [1, 2, 3, 4, 5, 6]


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path, edgepack: Edgepack) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("strategy: multi_worker", "strategy: mirrored, devices: 3"))
    done = edgepack("run", "recipe.yaml", "--to", "train", cwd=tmp_path)
    assert done.returncode == 2
    assert "batch_size 40 cannot be split evenly over 3 replicas" in done.stderr
    assert "set it to 39 or 42" in done.stderr


def test_a_machine_alone_says_what_it_waited_for(tmp_path: Path, edgepack: Edgepack) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("timeout_s: 120", "timeout_s: 3"))
    done = edgepack("run", "recipe.yaml", "--to", "train", cwd=tmp_path, env={"TF_CONFIG": cluster(1, free_ports())})
    assert done.returncode == 6, done.stderr
    assert "lost the others" in done.stderr
    missing = edgepack("run", "recipe.yaml", "--to", "train", cwd=tmp_path)
    assert missing.returncode == 2
    assert "TF_CONFIG, which is not set" in missing.stderr
