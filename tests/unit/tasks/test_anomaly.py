"""Do classes become normal and anomalous, and is refused what needs classes?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack import recipe as recipes
from edgepack.contracts import Preprocessing, Samples
from edgepack.dataset import Dataset, load, save
from edgepack.errors import RecipeError
from edgepack.plan import make_plan
from edgepack.tasks import anomaly

RECIPE = """\
data: {sklearn: breast_cancer}
task: {use: anomaly, normal: [benign]}
model: {zoo: autoencoder}
compress: [{use: qat}]
export: [{format: tflite, precision: int8}]
targets: [linux-amd64-cpu]
"""


def samples(*labels: int) -> Samples:
    return Samples(np.arange(2 * len(labels)).reshape(-1, 2), np.array(labels))


def dataset(train: Samples, validation: Samples, test: Samples) -> Dataset:
    return Dataset(train, validation, test, ("good", "worn", "broken"), Preprocessing())


DATA = dataset(samples(0, 2, 1, 0), samples(1, 0, 2), samples(2, 2, 0))


def test_labels_become_normal_and_anomalous() -> None:
    found = anomaly.prepare(anomaly.Config(normal=("good",)), DATA)
    assert (found.task, found.labels, found.classes) == ("anomaly", ("normal", "anomalous"), 2)
    assert found.validation.y.tolist() == [1, 0, 1] and found.test.y.tolist() == [1, 1, 0]
    np.testing.assert_array_equal(found.validation.x, DATA.validation.x)


def test_anomalies_leave_the_training_split() -> None:
    found = anomaly.prepare(anomaly.Config(normal=("good", "worn")), DATA)
    assert found.train.y.tolist() == [0, 0, 0]
    np.testing.assert_array_equal(found.train.x, DATA.train.x[[0, 2, 3]])
    np.testing.assert_array_equal(anomaly.learnable(found, "validation").x, DATA.validation.x[[0, 1]])


def test_the_task_is_kept_with_the_data(tmp_path: Path) -> None:
    found = anomaly.prepare(anomaly.Config(normal=("good",)), DATA)
    save(found, tmp_path)
    assert load(tmp_path).task == "anomaly"
    assert found.fingerprint() != DATA.fingerprint()


@pytest.mark.parametrize(
    ("normal", "data", "message"),
    [
        (("god",), DATA, "there is no class 'god'; the data have: good, worn, broken"),
        (("good", "worn", "broken"), DATA, "the validation split holds no anomalous sample"),
        (("worn",), dataset(samples(0, 2), samples(0, 1), samples(0, 1)), "the train split holds no normal sample"),
        (("good",), dataset(samples(0), samples(0, 1), samples(1, 2)), "the test split holds no normal sample"),
    ],
)
def test_wrong_classes_are_refused(normal: tuple[str, ...], data: Dataset, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        anomaly.prepare(anomaly.Config(normal=normal), data)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.mixup=0.2"], "training.mixup mixes labels of classes"),
        (["training.label_smoothing=0.1"], "training.label_smoothing mixes labels of classes"),
        (["compress.0.distill={}"], "teachers teach probabilities of classes"),
        (["task=anomaly"], "the key 'task.normal' is missing"),
        (["task={use: anomaly, normal: []}"], "task.normal"),
    ],
)
def test_what_needs_classes_is_refused_before_a_run(tmp_path: Path, overrides: list[str], message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    assert make_plan(path).recipe.task.normal == ("benign",)  # type: ignore[attr-defined]
    with pytest.raises(RecipeError) as caught:
        make_plan(path, overrides=overrides)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_without_a_task_samples_have_classes(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("\n".join(line for line in RECIPE.splitlines() if not line.startswith("task")))
    found: Any = recipes.load(path)
    assert found.resolved()["task"] == {"use": "classification"}
