"""Does a training that was stopped end as if it had never been?"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, Edgepack, command

EPOCHS = 5

RECIPE = """
name: resumed
data: {sklearn: digits, image_shape: [8, 8, 1], preprocessing: {scale: 0.0625}}
model: {zoo: small_cnn, args: {filters: [8, 16], dropout: 0.3}}
training:
  epochs: 5
  batch_size: 50
  learning_rate: 0.01
  schedule: {use: one_cycle, momentum: [0.95, 0.85]}
  augment: {shift: 1, rotation: 10}
  mixup: 0.2
  averaging: 0.9
  patience: 4
compress: [{use: prune, sparsity: 0.5, epochs: 5}]
export: [{format: tflite, precision: float32}]
targets: [linux-amd64-cpu]
"""


# TensorFlow and Keras warn of their own futures on import.
@pytest.mark.filterwarnings("ignore")
def test_a_killed_run_goes_on_from_its_last_epoch(tmp_path: Path, edgepack: Edgepack) -> None:
    """All of it, bit for bit: order, augmentation, mixup, dropout, rates, momentum, averages; and whole logs."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    words = ("run", tmp_path / "recipe.yaml", "--to", "compress")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    caches = [out / "resumed" / "cache" for out in (whole, broken)]
    assert edgepack(*words, "--out", whole).returncode == 0
    for stage in ("train", "compress-1-prune"):
        seen = _kill_after_an_epoch(stage, [*command(*words), "--out", str(broken)], caches[1])
        assert 1 <= seen < EPOCHS
    done = edgepack(*words, "--out", broken)
    assert done.returncode == 0, done.stderr
    for stage, log, record in (("train", "train", "training.json"), ("compress-1-prune", "1-prune", "step.json")):
        one, two = (next(cache.glob(f"{stage}-*")) for cache in caches)
        assert one.name == two.name
        for name in ("model.h5", record):
            assert (one / name).read_bytes() == (two / name).read_bytes(), name
        curve = json.loads((one / record).read_text())["curve"]
        assert len(curve) == EPOCHS
        for out in (whole, broken):
            assert _logged(out / "resumed" / "tensorboard" / log) == _expected(curve)
    assert not list(caches[1].glob(".checkpoints-*"))


def test_epochs_that_are_done_are_not_done_again(tmp_path: Path) -> None:
    """The second call finds three of five epochs, and trains two."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests/integration")!r})
import tf_keras
from pathlib import Path
from compressing import digits
from edgepack.schedules import cosine
from edgepack.training.checkpoints import Place
from edgepack.training.config import Training
from edgepack.training.fit import fit
from edgepack.zoo import small_cnn

class Stop(tf_keras.callbacks.Callback):
    begun = 0
    def on_epoch_begin(self, epoch, logs=None):
        self.begun += 1
        if epoch == int(sys.argv[1]):
            raise SystemExit(7)

tf_keras.utils.set_random_seed(0)
model = small_cnn.build(small_cnn.Config(filters=(4,)), input_shape=(8, 8, 1), classes=10)
stop = Stop()
fitted = fit(model, digits(200, 100, 100), Training(batch_size=50), epochs=5, learning_rate=0.01,
             schedule=cosine.Config(), seed=0, progress=lambda _: None, label="test",
             callbacks=[stop], place=Place(checkpoint=Path("kept")))
print(stop.begun, len(fitted.curve), [entry["epoch"] for entry in fitted.curve])
"""
    run = [sys.executable, "-c", script]
    first = subprocess.run([*run, "3"], cwd=tmp_path, env=_environment(), timeout=300, check=False)
    assert first.returncode == 7
    assert (tmp_path / "kept" / "epoch-3.index").exists()
    assert not (tmp_path / "kept" / "epoch-1.index").exists()
    second = subprocess.run([*run, "9"], cwd=tmp_path, env=_environment(), capture_output=True, timeout=300, check=True)
    assert second.stdout.decode().split("\n")[-2] == "2 5 [1, 2, 3, 4, 5]"


def _expected(curve: list[dict[str, float]]) -> dict[str, list[tuple[int, float]]]:
    """Figures of a curve by name, in the precision of event files."""
    names = set(curve[0]) - {"epoch"}
    return {name: [(int(entry["epoch"]), float(np.float32(entry[name]))) for entry in curve] for name in names}


def _logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Scalars in the event files of a folder, in the order in which they were written."""
    import tensorflow as tf

    found: dict[str, list[tuple[int, float]]] = {}
    files = [str(path) for path in sorted(folder.glob("events.out.tfevents.*"))]
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            found.setdefault(value.tag, []).append((event.step, float(tf.make_ndarray(value.tensor))))
    return found


def _environment() -> dict[str, str]:
    return {**os.environ, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": str(ROOT)}


def _kill_after_an_epoch(stage: str, argv: list[str], cache: Path) -> int:
    """Start a run, kill it when a stage has kept an epoch, and say how many there are."""
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    try:
        while not (found := list(cache.glob(f".checkpoints-{stage}-*/*/epoch-*.index"))):
            assert process.poll() is None, "the run ended before it was seen to keep an epoch"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    time.sleep(1)  # its worker ends by itself when the pipe closes
    return max(int(path.stem.rsplit("-", 1)[-1]) for path in found)
