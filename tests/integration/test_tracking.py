"""Does MLflow, the real one, know of a run what the run knows of itself?"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_files import results
from support import ROOT, Edgepack, Finished, read_json

from edgepack.store import file_digest
from edgepack.trackers._finished import finished_run

pytest_plugins = ["small"]

READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
found = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        history = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
        found.append({
            "experiment": experiment.name,
            "status": run.info.status,
            "name": run.info.run_name,
            "parameters": run.data.params,
            "tags": run.data.tags,
            "metrics": {key: sorted((item.step, item.value) for item in items) for key, items in history.items()},
            "artifacts": run.info.artifact_uri,
        })
print(json.dumps(found))
"""
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}


def logged(database: Path) -> Any:
    """Every run in a database, as MLflow's own client reads it."""
    argv = [sys.executable, "-c", READ, f"sqlite:///{database}"]
    done = subprocess.run(argv, env=os.environ | QUIET, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small run, and a target of which no image is built."""
    made: Path = shutil.copytree(small_run, tmp_path_factory.mktemp("tracking") / "work")
    target = (ROOT / "targets" / "linux-amd64-cpu.yaml").read_text()
    assert "\nbudgets:" in target
    (made / "plain.yaml").write_text(target.replace("\nbudgets:", "\n  build: false\nbudgets:"))
    return made


@pytest.fixture(scope="module")
def run(folder: Path, edgepack: Edgepack) -> Any:
    """Runs the recipe, with a section `tracking`."""

    def started(tracking: str, **env: str) -> Finished:
        words = ("run", "recipe.yaml", "--target", "plain.yaml", "--set", f"tracking={tracking}")
        return edgepack(*words, cwd=folder, env={"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", **env})

    return started


@pytest.fixture(scope="module")
def missing(run: Any, folder: Path) -> Finished:
    """The first run: MLflow is not installed."""
    (folder / "without").mkdir()
    (folder / "without" / "sitecustomize.py").write_text("import sys\nsys.modules['mlflow'] = None\n")
    paths = [str(folder / "without"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done: Finished = run("[mlflow]", PYTHONPATH=os.pathsep.join(paths))
    return done


@pytest.fixture(scope="module")
def tracked(missing: Finished, run: Any) -> Finished:
    """The next one: it is."""
    assert missing.returncode != 0
    done: Finished = run("[{use: mlflow, experiment: trial, models: true}]")
    assert done.returncode == 0, done.stderr
    return done


def test_without_mlflow_a_run_ends_with_its_results_and_says_how_to_install_it(missing: Finished, folder: Path) -> None:
    out = folder / "out" / "small"
    assert missing.returncode == 3
    assert "needs the package mlflow, which is not installed" in missing.stderr
    assert "pip install 'edgepack[mlflow]'" in missing.stderr
    assert "report:" in missing.stdout
    assert (out / "report.html").is_file()
    assert (out / "plain" / "manifest.json").is_file()


def test_the_next_run_logs_it_and_makes_nothing_anew(tracked: Finished, folder: Path, run: Any) -> None:
    assert "nothing to do" not in tracked.stderr
    made = [line.split() for line in tracked.stderr.splitlines() if line.startswith("  ✓") and "up to date" not in line]
    assert [words[1] for words in made] == ["track"]
    (line,) = [line for line in tracked.stderr.splitlines() if line.startswith("  ✓ track mlflow")]
    assert "of experiment trial at sqlite:///" in line
    before = results(folder / "out" / "small")
    again = run("[{use: mlflow, experiment: trial, models: true}]")
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert results(folder / "out" / "small") == before
    assert len(logged(folder / "out" / "small" / "mlflow" / "mlflow.db")) == 1


def test_mlflow_has_every_figure_and_file(tracked: Finished, folder: Path) -> None:
    out = folder / "out" / "small"
    (found,) = logged(out / "mlflow" / "mlflow.db")
    expected = finished_run(out)
    assert (found["experiment"], found["status"]) == ("trial", "FINISHED")
    assert found["name"] == f"small-{expected.recipe_sha256[:8]}"
    assert found["parameters"] == expected.parameters
    assert found["parameters"]["training.epochs"] == "1"
    curve = read_json(out / "run.json")["training"]["curve"]
    assert found["metrics"]["val_accuracy"] == [[1, curve[0]["val_accuracy"]]]
    wanted = {name: [list(point) for point in points] for name, points in expected.curves.items()}
    assert found["metrics"] == wanted | {name: [[0, value]] for name, value in expected.figures.items()}
    verification = read_json(out / "plain" / "verify.json")
    for record in verification["artifacts"]:
        name = f"plain/{record['file']}/{record['runtime']}/accuracy"
        assert found["metrics"][name] == [[0, record["accuracy"]]]
    assert {
        key.removeprefix("edgepack."): value for key, value in found["tags"].items()
    }.items() >= expected.tags.items()
    artifacts = Path(found["artifacts"].removeprefix("file://"))
    assert artifacts.is_relative_to(out / "mlflow")
    for path in ("report.html", "report.json"):
        assert (artifacts / path).read_bytes() == (out / path).read_bytes()
    assert (artifacts / "recipe.yaml").read_bytes() == (folder / "recipe.yaml").read_bytes()
    for artifact in read_json(out / "plain" / "manifest.json")["artifacts"]:
        assert file_digest(artifacts / "plain" / artifact["file"]) == artifact["sha256"]


def test_a_server_that_does_not_answer_is_named_and_costs_no_result(tracked: Finished, folder: Path, run: Any) -> None:
    before = results(folder / "out" / "small")
    done = run("[{use: mlflow, uri: 'http://127.0.0.1:9'}]")
    assert done.returncode == 3
    assert "MLflow at http://127.0.0.1:9 did not take the run; all results are there" in done.stderr
    assert "start the server, or correct `tracking` in the recipe" in done.stderr
    assert results(folder / "out" / "small") == before


def test_the_manifest_names_no_tracker(tracked: Finished, folder: Path) -> None:
    manifest = read_json(folder / "out" / "small" / "plain" / "manifest.json")
    assert "tracking" not in manifest["recipe"]
    assert manifest["recipe_sha256"] == read_json(folder / "out" / "small" / "run.json")["recipe_sha256"]
