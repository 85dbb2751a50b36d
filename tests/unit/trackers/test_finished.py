"""What is a tracker told of a run?"""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from edgepack.report import write
from edgepack.trackers._finished import finished_run, flat


@pytest.fixture(scope="module")
def runs() -> ModuleType:
    """The module of the report's tests that writes run folders."""
    path = Path(__file__).parents[1] / "report" / "runs.py"
    spec = importlib.util.spec_from_file_location("report_runs_for_trackers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with its report: 20 epochs of training, 6 of pruning, 4 of quantisation-aware training."""
    made: Path = runs.write_run(tmp_path_factory.mktemp("tracked"))
    write(made)
    return made


def test_epochs_are_counted_through_training_and_steps(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    curves = finished_run(folder).curves
    parts = [record["training"]["curve"], *(step["curve"] for step in record["steps"])]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        values = [entry[name] for part in parts for entry in part]
        assert curves[name] == list(zip(range(1, 31), values, strict=True))
    assert [value for _, value in curves["compress_step"]] == [0.0] * 20 + [1.0] * 6 + [2.0] * 4
    assert "epoch" not in curves


def test_figures_are_those_of_the_report(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    figures = finished_run(folder).figures
    for row in report["rows"]:
        where = f"{row['target']}/{row['artifact']}/{row['runtime']}"
        for name in ("accuracy", "drop_points", "size_kib", "p50_ms", "p90_ms"):
            assert figures[f"{where}/{name}"] == row[name]
        assert f"{where}/emulated" not in figures
        assert f"{where}/missing" not in figures
    assert figures["train/val_accuracy"] == 0.9861
    assert figures["train/raw_bytes"] == 57_912
    assert figures["1-prune/val_accuracy_after"] == 0.9833
    assert figures["1-prune/sparsity"] == 0.5
    assert figures["2-qat/ranges.widest"] == 5.73
    assert figures["2-qat/compressed_bytes"] == 13_210


def test_tags_and_files_say_what_the_figures_are_worth(folder: Path) -> None:
    run = finished_run(folder)
    assert run.tags["smoke"] == "false"
    assert run.tags["verdict.linux-amd64-cpu"] == "ship"
    assert run.tags["environment.tensorflow"] == "2.21.0"
    reports = {name: folder / name for name in ("report.html", "report.json", "run.json")}
    assert reports.items() <= run.files.items()
    assert run.models["linux-amd64-cpu/model.int8.tflite"] == folder / "linux-amd64-cpu" / "model.int8.tflite"


def test_the_recipe_is_logged_where_it_still_is(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "run.json").read_text()
    recipe = tmp_path / "own.yaml"
    (folder / "run.json").write_text(json.dumps(json.loads(whole) | {"recipe_file": str(recipe)}))
    assert "own.yaml" not in finished_run(folder).files
    recipe.write_text("name: own\n")
    assert finished_run(folder).files["own.yaml"] == recipe
    (folder / "run.json").write_text(whole)


def test_the_address_of_a_tracker_is_no_parameter(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    changed = record["recipe"] | {"tracking": [{"use": "mlflow", "uri": "http://internal"}], "seed": 3}
    (folder / "run.json").write_text(json.dumps(record | {"recipe": changed}))
    parameters = finished_run(folder).parameters
    (folder / "run.json").write_text(json.dumps(record))
    assert parameters["seed"] == "3"
    assert not [key for key in parameters if key.startswith("tracking")]


def test_nested_keys_and_numbers_of_items_are_joined_by_dots() -> None:
    recipe = {
        "seed": 0,
        "model": {"zoo": "small_cnn", "args": {"filters": [8, 16]}},
        "compress": [{"use": "prune", "sparsity": 0.5}, {"use": "qat", "distill": None}],
        "data": {"args": {}, "labels": ["a", "b"]},
        "smoke": True,
    }
    assert dict(flat(recipe)) == {
        "seed": "0",
        "model.zoo": "small_cnn",
        "model.args.filters": "[8, 16]",
        "compress.0.use": "prune",
        "compress.0.sparsity": "0.5",
        "compress.1.use": "qat",
        "compress.1.distill": "null",
        "data.args": "{}",
        "data.labels": '["a", "b"]',
        "smoke": "true",
    }
