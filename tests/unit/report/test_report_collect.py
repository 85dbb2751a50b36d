"""Does the report read what a run left, and give a reason for all that is missing or broken?"""

import json
from pathlib import Path
from types import ModuleType

import pytest

from edgepack.errors import MissingError
from edgepack.report import collect, rows
from edgepack.report.collect_measurement import percentiles_ms
from edgepack.report.schema import Report

TARGET = "linux-amd64-cpu"


def test_whole_run_is_read(report: Report) -> None:
    assert report.name == "digits"
    assert report.recipe_file == "examples/digits/recipe.yaml"
    assert report.gaps == ()
    assert [stage.name for stage in report.stages][:2] == ["data", "train"]
    assert report.training is not None
    assert report.training.parameters == 13_418
    assert [step.use for step in report.steps] == ["prune", "qat"]
    assert report.steps[1].metrics["ranges.widest"] == 5.73
    (target,) = report.targets
    assert target.gaps == ()
    assert (target.platform, target.threads, target.classes, target.samples) == ("linux/amd64", 2, 10, 360)
    assert target.baseline == 0.9833
    assert [bench.reason for bench in target.benches] == [None, None]
    assert len(target.latencies) == 8
    assert len(target.latencies[0].percentiles_ms) == 101
    assert target.image.size_mib == 144.6
    assert target.pairs[0].yardstick


@pytest.mark.parametrize("name", ["manifest.json", "verify.json", "latency.json", "image/image.json"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is not there"),
        (b"", "is not valid JSON"),
        (b'{"schema": "edgepack.manif', "is not valid JSON"),
        (b"[]", "holds a list"),
        (b'{"schema": "edgepack.other/9"}', "has the schema 'edgepack.other/9'"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
    ],
)
def test_broken_document_becomes_a_reason(run: Path, name: str, content: bytes | None, reason: str) -> None:
    path = run / TARGET / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (target,) = collect(run).targets
    (gap,) = target.gaps
    assert reason in gap.reason
    assert Path(name).name in gap.reason
    for row in rows(collect(run)):
        empty = [field for field in ("size_kib", "accuracy", "p50_ms", "image_mib") if getattr(row, field) is None]
        assert all(row.missing[field] for field in empty)


def test_run_json_missing_keeps_the_targets(run: Path) -> None:
    (run / "run.json").unlink()
    report = collect(run)
    assert [target.name for target in report.targets] == [TARGET]
    assert report.gaps[0].reason == "run.json is not there"
    assert report.name == "digits"


def test_listed_target_without_a_folder_is_there_with_reasons(run: Path, runs: ModuleType) -> None:
    runs.put(run / "run.json", runs.run_document([TARGET, "nvidia-gpu", "../elsewhere"]))
    report = collect(run)
    assert [target.name for target in report.targets] == [TARGET, "nvidia-gpu"]
    assert len(report.targets[1].gaps) == 4


def test_earlier_recipe_is_told_apart(run: Path) -> None:
    path = run / TARGET / "manifest.json"
    path.write_text(path.read_text().replace("5f2c" * 16, "0b0b" * 16))
    report = collect(run)
    assert "another recipe" in (report.targets[0].stale or "")
    assert {row.verdict for row in rows(report)} == {"not judged"}


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="expected the folder of a run") as caught:
        collect(tmp_path / "nowhere")
    assert "edgepack run" in caught.value.fix


@pytest.mark.parametrize("name", ["", "notes.txt", "digits/run.json"])
def test_not_a_run_folder(tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(MissingError, match=r"neither run\.json nor a target folder") as caught:
        collect(tmp_path)
    assert "out/<recipe>" in caught.value.fix


def test_percentiles_are_samples_in_ms() -> None:
    assert percentiles_ms(()) == ()
    assert percentiles_ms((2e6,)) == (2.0,) * 101
    samples = tuple(float(n) * 1e6 for n in range(1, 202))
    result = percentiles_ms(tuple(reversed(samples)))
    assert (result[0], result[50], result[90], result[100]) == (1.0, 101.0, 181.0, 201.0)


def test_values_of_a_wrong_type_are_missing_values(run: Path) -> None:
    path = run / TARGET / "verify.json"
    document = json.loads(path.read_text())
    document["artifacts"][0] |= {"accuracy": "high", "drop": True, "status": 1}
    document["baseline"] = {"accuracy": float("nan")}
    path.write_text(json.dumps(document))
    row = rows(collect(run))[0]
    assert row.accuracy is None
    assert row.accuracy_float is None
    assert row.verdict == "not judged"


def test_finished_files_have_no_training_and_perhaps_no_baseline(run: Path) -> None:
    reason = "there is no float32 file"
    for name, changes in (
        ("run.json", {"training": None, "steps": [], "adopted": [{"file": "model.int8.tflite"}]}),
        (f"{TARGET}/verify.json", {"baseline": {"accuracy": None, "reason": reason}}),
    ):
        document = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(document | changes))
    report = collect(run)
    assert (report.gaps, report.training) == ((), None)
    assert {row.missing["accuracy_float"] for row in rows(report)} == {reason}
