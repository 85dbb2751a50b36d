"""Does a comparison of two runs say what changed, and nothing where that cannot be known?"""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.cli.main import run as edgepack
from edgepack.errors import MissingError, RecipeError
from edgepack.report import write
from edgepack.report.changes import headlines, remarks, to_json, to_markdown
from edgepack.report.compare import compare, load
from edgepack.report.schema import Report
from edgepack.report.schema.comparison import Change, Changed, Comparison

TARGET = "linux-amd64-cpu"
Edit = Callable[[dict[str, Any]], None]


def with_intervals(result: dict[str, Any], *, factor: float = 1.0, width: float = 0.01) -> None:
    """A median `factor` times as long, known to `width` in both directions."""
    p50 = result["latency_ms"]["p50"] * factor
    result["latency_ms"]["p50"] = p50
    result["interval_ms"] = {"p50": [p50 * (1 - width), p50 * (1 + width)]}


@pytest.fixture
def twice(runs: ModuleType, tmp_path: Path) -> Callable[..., Comparison]:
    """Compares the whole run, with intervals, with one in which documents were edited."""

    def comparing(name: str = "latency.json", edit: Edit = lambda _: None, before: Edit = lambda _: None) -> Comparison:
        found: list[Report] = []
        for side, changes in (("a", [before]), ("b", [edit])):
            folder = runs.write_run(tmp_path / side)
            path = folder / TARGET / "latency.json"
            document = json.loads(path.read_text())
            for result in document["container"]["results"]:
                with_intervals(result)
            path.write_text(json.dumps(document))
            path = folder / TARGET / name
            document = json.loads(path.read_text())
            for change in changes:
                change(document)
            path.write_text(json.dumps(document))
            found.append(load(folder))
        return compare(*found)

    return comparing


def row(comparison: Comparison, artifact: str) -> Changed:
    return next(row for row in comparison.rows if row.artifact == artifact)


def test_a_run_against_itself_says_that_nothing_changed(twice: Callable[..., Comparison]) -> None:
    comparison = twice()
    for one in comparison.rows:
        assert (one.size_kib.word, one.accuracy.word, one.agreement.word) == ("same", "same", "same")
        assert (one.p50_ms.word, one.p50_ms.reason) == ("unclear", "no significant difference")
    assert [target.same for target in comparison.targets] == [True]
    assert comparison.same_recipe is True


def test_latency_counts_as_changed_when_the_interval_leaves_out_1(twice: Callable[..., Comparison]) -> None:
    def edit(document: dict[str, Any]) -> None:
        for result, factor in zip(document["container"]["results"], (1.10, 1.04, 0.80, 1.0), strict=True):
            with_intervals(result, factor=factor)

    changes = [one.p50_ms for one in twice(edit=edit).rows]
    assert [change.word for change in changes] == ["worse", "unclear", "better", "unclear"]
    slower = changes[0]
    assert slower.ratio == pytest.approx(1.10)
    assert slower.interval == (pytest.approx(1.0846 / 1.05, abs=1e-3), pytest.approx(1.1157 * 1.05, abs=1e-3))


def test_several_processes_tell_smaller_changes(twice: Callable[..., Comparison]) -> None:
    def several(document: dict[str, Any], factor: float) -> None:
        for result in document["container"]["results"]:
            with_intervals(result, factor=factor)
            result["processes"] = [{"p50_ms": result["latency_ms"]["p50"]}] * 3

    comparison = twice(edit=lambda document: several(document, 1.03), before=lambda document: several(document, 1.0))
    assert {one.p50_ms.word for one in comparison.rows} == {"worse"}
    assert comparison.rows[0].p50_ms.interval == (pytest.approx(1.0156, abs=1e-3), pytest.approx(1.0446, abs=1e-3))


def test_latency_without_intervals_is_unclear_and_says_why(twice: Callable[..., Comparison]) -> None:
    def edit(document: dict[str, Any]) -> None:
        for result in document["container"]["results"]:
            result["latency_ms"]["p50"] *= 2
            del result["interval_ms"]

    comparison = twice(edit=edit)
    assert {one.p50_ms.word for one in comparison.rows} == {"unclear"}
    assert "no interval was recorded" in remarks(comparison)[0]
    assert "+100 %" in to_markdown(comparison)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda bench: bench["environment"].update(cpu="Cortex-A72"), "another machine: cpu was AMD EPYC 7B13"),
        (lambda bench: [result.update(threads=4) for result in bench["results"]], "2 and 4 threads"),
        (lambda bench: bench["environment"].update(emulated=True), "no time of a real machine"),
        (lambda bench: bench["protocol"].update(clock="instructions"), "no time of a real machine"),
    ],
)
def test_times_that_must_not_be_compared_are_not(
    twice: Callable[..., Comparison], edit: Callable[[Any], None], reason: str
) -> None:
    comparison = twice(edit=lambda document: edit(document["container"]))
    assert {one.p50_ms.word for one in comparison.rows} == {"incomparable"}
    assert reason in remarks(comparison)[0]


def test_accuracy_parity_verdict_and_headline_change_together(twice: Callable[..., Comparison]) -> None:
    def edit(document: dict[str, Any]) -> None:
        check = document["artifacts"][0]
        check |= {"accuracy": 0.90, "top1_agreement": 0.92, "status": "failed", "reasons": ["accuracy drop is above"]}
        document["gates"][0] |= {"value": 0.0833, "status": "failed"}

    comparison = twice("verify.json", edit)
    worse = row(comparison, "model.int8.tflite")
    assert (worse.accuracy.word, worse.agreement.word) == ("worse", "worse")
    assert (worse.verdict_before, worse.verdict_after) == ("ok", "failed")
    assert "missed by 7.33 points" in worse.reason
    (headline,) = headlines(comparison)
    assert headline.startswith(
        f"{TARGET}: Ship model.int8.onnx in ONNX Runtime. It was: Ship model.int8.tflite in LiteRT"
    )
    text = to_markdown(comparison)
    assert "90.00 (−7.78) ▼ | 92.00 (−7.44) ▼" in text
    assert "ok → failed ▼" in text


def test_artifacts_that_came_and_went_are_named(twice: Callable[..., Comparison]) -> None:
    def without(document: dict[str, Any]) -> None:
        del document["artifacts"][0]

    comparison = twice("manifest.json", without)
    gone = row(comparison, "model.int8.tflite")
    assert gone.presence == "both", "verify.json and latency.json still name it"
    assert (gone.size_kib.word, gone.size_kib.reason) == ("incomparable", "not known any more")


def test_a_larger_image_stands_in_the_headline(twice: Callable[..., Comparison]) -> None:
    comparison = twice("image/image.json", lambda document: document.update(size_mib=159.06))
    assert headlines(comparison)[0].endswith("as before; the image has 159 MiB (+10.0 %)")


def test_a_kept_report_json_stands_for_its_run(runs: ModuleType, tmp_path: Path) -> None:
    folder = runs.write_run(tmp_path / "a")
    write(folder)
    alone = tmp_path / "kept" / "report.json"
    alone.parent.mkdir()
    alone.write_bytes((folder / "report.json").read_bytes())
    assert load(alone) == load(alone.parent) == load(folder)


def test_an_older_report_json_without_the_new_fields_is_readable(runs: ModuleType, tmp_path: Path) -> None:
    folder = runs.write_run(tmp_path)
    write(folder)
    path = folder / "report.json"
    document = json.loads(path.read_text())
    for target in document["targets"]:
        for name in ("devices", "layers", "history"):
            del target[name]
        for latency in target["latencies"]:
            for name in (
                "interval_ms",
                "windows",
                "stable",
                "flags",
                "before",
                "after",
                "energy_mj",
                "nodes",
                "simulated",
            ):
                del latency[name]
        for pair in target["pairs"]:
            del pair["inside"]
    path.write_text(json.dumps(document))
    assert load(path).targets[0].latencies[0].interval_ms is None


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"expected the folder of a run or a report\.json"):
        load(tmp_path / "absent")
    (tmp_path / "other.json").write_text('{"schema": "edgepack.run/1"}')
    with pytest.raises(RecipeError, match=r"expected 'edgepack\.report/1'"):
        load(tmp_path / "other.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="is no text"):
        load(tmp_path / "bytes.json")


@given(text=st.text(st.characters(codec="utf-8"), min_size=1))
def test_names_stay_inside_their_cells(text: str) -> None:
    change = Change(before=1.0, after=2.0, ratio=2.0, interval=(1.9, 2.1), word="worse", reason=None)
    one = Changed(text, text, text, "both", change, change, change, change, "ok", "failed", text)
    comparison = Comparison("", text, text, None, "accuracy", (), (one,))
    lines = to_markdown(comparison).split("\n")
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines if line.startswith("|")] == [9, 9, 9]
    json.loads(to_json(comparison))


def test_the_command_line_has_three_forms(runs: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (str(runs.write_run(tmp_path / side)) for side in "ab")
    assert edgepack(["report", one, other]) == 0
    assert "float32.tflite" in capsys.readouterr().out
    assert edgepack(["report", one, other, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("## edgepack: ")
    assert edgepack(["report", one, other, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "edgepack.report_comparison/1"
    assert {field.name for field in dataclasses.fields(Comparison)} == set(document)
    assert not (Path(one) / "report.html").exists(), "comparing writes nothing"


@pytest.mark.parametrize("words", [("--json", "--markdown"), ("--picture", "x.png"), ("--add", "x.json")])
def test_words_that_exclude_each_other(
    runs: ModuleType, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (str(runs.write_run(tmp_path / side)) for side in "ab")
    assert edgepack(["report", one, other, *words]) == 2
    assert "fix:" in capsys.readouterr().err
