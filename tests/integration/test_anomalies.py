"""Is an auto-encoder trained on normal samples alone, compressed, verified and judged by how it tells anomalies?"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import context, files
from support import ROOT, Edgepack, read_json

from edgepack import extensions
from edgepack.contracts import Preprocessing
from edgepack.data import sklearn as source
from edgepack.dataset import Dataset
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session
from edgepack.runner.tasks import anomaly as judge
from edgepack.schedules import one_cycle
from edgepack.stages.data import split
from edgepack.tasks import anomaly
from edgepack.training.config import Training

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLE = ROOT / "examples" / "anomaly"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Zeros are normal, every other digit is an anomaly."""
    config = source.Config(sklearn="digits", preprocessing=Preprocessing(scale=0.0625))
    raw = source.load(config, tmp_path_factory.getbasetemp())
    return anomaly.prepare(anomaly.Config(normal=("0",)), split(raw, config, seed=0))


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    import tf_keras

    from edgepack.training.fit import fit
    from edgepack.zoo import autoencoder

    tf_keras.utils.set_random_seed(0)
    config = autoencoder.Config(units=(32,), bottleneck=6)
    model = autoencoder.build(config, input_shape=data.input_shape, classes=data.classes)
    for layer in model.layers:
        if "momentum" in layer.get_config():
            layer.momentum = 0.9  # so few steps would leave the statistics near where they start
    fitted = fit(
        model, data, Training(batch_size=16), epochs=30, learning_rate=0.01, schedule=one_cycle.Config(), seed=0,
        progress=lambda _: None, label="test",
    )  # fmt: skip
    assert set(fitted.curve[0]) == {"epoch", "loss", "val_loss", "val_accuracy", "learning_rate"}
    best = max(fitted.curve, key=lambda entry: (entry["val_accuracy"], -entry["val_loss"]))
    assert fitted.best_epoch == best["epoch"]
    return model


def test_only_normal_samples_are_trained_on(data: Dataset) -> None:
    from edgepack.training.batches import evaluation_batches, span_of, training_batches

    assert (data.task, data.labels, set(data.train.y.tolist())) == ("anomaly", ("normal", "anomalous"), {0})
    assert 80 < len(data.train.y) < 178 and len(data.test.y) == 270
    training = Training(batch_size=8)
    batches = training_batches(data, training, seed=0, outputs=64, span=span_of(data, training, 1))
    x, wanted = next(iter(batches))
    np.testing.assert_array_equal(x, wanted)
    held_out = [target.numpy() for _, target in evaluation_batches(data, "validation")]
    assert sum(map(len, held_out)) == np.count_nonzero(data.validation.y == 0)


def test_figures_are_those_of_scikit_learn(trained: Any, data: Dataset) -> None:
    from sklearn.metrics import mean_squared_error, roc_auc_score

    from edgepack.training.fit import evaluate

    x = data.inputs("validation")
    outputs = trained.predict(x, verbose=0)
    errors = np.mean((outputs - x) ** 2, axis=1)
    found = evaluate(trained, data)
    assert found["val_accuracy"] == pytest.approx(roc_auc_score(data.validation.y, errors), abs=1e-6)
    normal = data.validation.y == 0
    assert found["val_loss"] == pytest.approx(mean_squared_error(x[normal], outputs[normal]), rel=1e-4)
    assert found["val_accuracy"] > 0.9, "zeros and other digits differ"


def test_untrained_models_tell_less(trained: Any, data: Dataset) -> None:
    from edgepack.training.fit import evaluate
    from edgepack.zoo import autoencoder

    fresh = autoencoder.build(autoencoder.Config(units=(32,), bottleneck=6), input_shape=data.input_shape, classes=2)
    assert evaluate(fresh, data)["val_accuracy"] < evaluate(trained, data)["val_accuracy"] - 0.05


def test_pruned_and_quantised_it_still_tells_anomalies(trained: Any, data: Dataset, tmp_path: Path) -> None:
    from edgepack.techniques import prune, prune_channels, qat

    narrow = prune_channels.apply(trained, data, prune_channels.Config(goal={"macs": 0.9}, epochs=1), context=context())
    pruned = prune.apply(narrow.model, data, prune.Config(sparsity=0.3, epochs=2), context=context())
    result = qat.apply(pruned.model, data, qat.Config(epochs=1), context=context())
    path = files(result.model, data, tmp_path, quantised=True)
    x, y = data.inputs("test"), data.targets("test")
    with open_session("litert", path, 1) as session:
        assert session.inputs[0].dtype == session.outputs[0].dtype == "int8"
        _, found = predict(session, x)
    reference = judge.figure(trained.predict(x, verbose=0), x, y)
    assert judge.figure(found, x, y) > reference - 0.1


def test_images_are_given_back_as_images(data: Dataset) -> None:
    from edgepack.training.fit import check_fits
    from edgepack.zoo import autoencoder

    images = replace(data, train=replace(data.train, x=data.train.x.reshape(-1, 8, 8, 1)))
    model = autoencoder.build(autoencoder.Config(units=(4,), bottleneck=2), input_shape=(8, 8, 1), classes=2)
    check_fits(model, images)
    assert model.output_shape == (None, 8, 8, 1)


def test_a_classifier_is_refused(data: Dataset) -> None:
    from edgepack.errors import RecipeError
    from edgepack.training.fit import check_fits

    mlp = extensions.load("edgepack.zoo", "mlp")
    model = mlp.build(mlp.Config(), input_shape=data.input_shape, classes=2)
    with pytest.raises(RecipeError, match=r"of shape \(2,\); `task: anomaly` expects those of the inputs, \(64"):
        check_fits(model, data)


def test_the_example_says_what_was_measured(edgepack: Edgepack, tmp_path: Path) -> None:
    """A smoke run of it: gates, bundle, report and page speak of ROC AUC."""
    done = edgepack("run", EXAMPLE / "recipe.yaml", "--smoke", "--to", "verify", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    results = tmp_path / "anomaly-smoke"
    bundle = results / "linux-amd64-cpu"
    manifest, verification = read_json(bundle / "manifest.json"), read_json(bundle / "verify.json")
    assert (manifest["task"], manifest["labels"]) == ("anomaly", ["normal", "anomalous"])
    assert (verification["metric"], set(verification["baseline"])) == ("roc_auc", {"roc_auc"})
    golden = np.load(bundle / "golden.npz")
    assert len(verification["artifacts"]) == 4
    for record in verification["artifacts"]:
        assert record["drop"] == pytest.approx(verification["baseline"]["roc_auc"] - record["accuracy"])
        assert 0.5 < record["top1_agreement"] <= 1
        assert golden[f"output/{record['file']}/{record['runtime']}"].shape == golden["input"].shape
    assert set(golden["label"].tolist()) <= {0, 1}
    assert edgepack("verify", bundle).returncode == 0
    assert edgepack("report", results).returncode == 0
    text = (results / "report.md").read_text()
    assert "float ROC AUC %" in text and "validation ROC AUC %" in text
    assert not re.search(r"(?<!_)accuracy(?!_)", text, re.IGNORECASE), "no figure there is an accuracy"
    page = (results / "report.html").read_text()
    assert "ROC AUC" in page and "Same answer" in page
