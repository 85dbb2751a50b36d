"""Is the final table right: values, the place of the latency, verdicts, reasons, and what to ship?"""

import json
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from edgepack.report import collect, next_commands, rows, verdicts
from edgepack.report.console import rich_table
from edgepack.report.schema import Report
from edgepack.report.table import footnotes

TARGET = "linux-amd64-cpu"


def change(path: Path, **values: Any) -> None:
    """Change top-level values of a JSON document."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_values(report: Report) -> None:
    table = rows(report)
    assert [(row.artifact, row.runtime) for row in table] == [
        ("model.int8.tflite", "litert"),
        ("model.float32.tflite", "litert"),
        ("model.int8.onnx", "onnxruntime"),
        ("model.float32.onnx", "onnxruntime"),
    ]
    row = table[0]
    assert row.target == TARGET
    assert row.size_kib == pytest.approx(21_344 / 1024)
    assert (row.accuracy_float, row.accuracy) == (0.9833, 0.9778)
    assert row.drop_points == pytest.approx(0.55)
    assert row.where == "container"
    assert row.p50_ms == pytest.approx(0.0125, rel=0.02)
    assert row.p90_ms is not None
    assert row.p90_ms > (row.p50_ms or 0)
    assert row.image_mib == 144.6
    assert (row.verdict, row.reason, row.missing) == ("ok", "", {})


def test_host_stands_in_for_a_missing_container(run: Path, runs: ModuleType) -> None:
    document = runs.latency_document(None, runs.bench_document(), reason="no container engine answers")
    runs.put(run / TARGET / "latency.json", document)
    assert {row.where for row in rows(collect(run))} == {"host"}
    assert {row.verdict for row in rows(collect(run))} == {"ok"}


def test_failed_gate_names_the_gate_and_the_amount(mixed: Path) -> None:
    report = collect(mixed)
    row = rows(report)[0]
    assert row.verdict == "failed"
    assert row.reason == "max_accuracy_drop: 0.55 points, limit 0.40 points, missed by 0.15 points"
    verdict = verdicts(report)[0]
    assert verdict.status == "ship"
    assert verdict.headline == "Ship model.float32.tflite in LiteRT"
    assert verdict.misses[0] == f"model.int8.tflite in LiteRT: {row.reason}"


def test_emulated_latency_is_shown_flagged_and_never_judged(mixed: Path) -> None:
    report = collect(mixed)
    row = next(row for row in rows(report) if row.target == "linux-arm64-cpu")
    assert row.emulated
    assert row.p50_ms is not None
    assert row.verdict == "not judged"
    assert "max_latency_p90_ms (limit 0.5 ms) is open: emulated" in row.reason
    assert "docker run --rm --network none edgepack/digits:linux-arm64-cpu" not in next_commands(report)


def test_emulated_without_a_latency_gate_can_ship(mixed: Path) -> None:
    change(mixed / "linux-arm64-cpu" / "latency.json", gates=[])
    report = collect(mixed)
    verdict = next(v for v in verdicts(report) if v.target == "linux-arm64-cpu")
    assert verdict.status == "ship"
    assert "smallest" in verdict.why
    assert "emulated" in verdict.why


def test_latency_of_another_machine_is_not_judged(run: Path, runs: ModuleType) -> None:
    change(run / TARGET / "manifest.json", platform="linux/arm64")
    gate = {"gate": "max_latency_p90_ms", "artifact": None, "limit": 0.001, "value": 0.01, "status": "failed"}
    change(run / TARGET / "latency.json", gates=[gate])
    row = rows(collect(run))[0]
    assert row.verdict == "not judged"
    assert "measured on x86_64, the target is arm64" in row.reason


def test_missing_latency_and_image_have_footnotes(mixed: Path) -> None:
    table = rows(collect(mixed))
    row = next(row for row in table if row.target == "android-arm64")
    assert (row.p50_ms, row.p90_ms, row.image_mib, row.where) == (None, None, None, None)
    assert row.missing["p50_ms"] == "no device: android/arm64 cannot run here"
    assert row.missing["image_mib"] == "no container engine answers"
    assert (row.verdict, row.reason) == ("ok", "")
    assert footnotes(table) == ("no device: android/arm64 cannot run here", "no container engine answers")


def test_unverified_is_not_judged(run: Path) -> None:
    (run / TARGET / "verify.json").unlink()
    report = collect(run)
    assert {row.verdict for row in rows(report)} == {"not judged"}
    assert verdicts(report)[0].status == "not judged"
    assert rows(report)[0].missing["accuracy"] == "verify.json is not there"


def test_smoke_run_is_not_judged(runs: ModuleType, tmp_path: Path) -> None:
    report = collect(runs.write_run(tmp_path, smoke=True))
    assert {row.verdict for row in rows(report)} == {"not judged"}
    assert "smoke run" in verdicts(report)[0].why
    assert next_commands(report)[0] == "edgepack run examples/digits/recipe.yaml"


def test_smoke_run_still_fails_what_failed(runs: ModuleType, tmp_path: Path) -> None:
    report = collect(runs.write_run(tmp_path, smoke=True, limit=0.004))
    assert [row.verdict for row in rows(report)] == ["failed", "not judged"] * 2


def test_crash_in_the_container_fails_although_the_host_ran(run: Path) -> None:
    path = run / TARGET / "latency.json"
    document = json.loads(path.read_text())
    document["container"]["results"][0] |= {
        "status": "error",
        "reason": "killed by signal 11",
        "latency_ms": None,
    }
    path.write_text(json.dumps(document))
    row = rows(collect(run))[0]
    assert (row.where, row.verdict) == ("host", "failed")
    assert row.reason == "did not run in the container: killed by signal 11"


def test_different_outputs_in_the_container_fail(run: Path) -> None:
    change(run / TARGET / "latency.json", identical={"model.int8.onnx@onnxruntime": False})
    assert [row.verdict for row in rows(collect(run))] == ["ok", "ok", "failed", "ok"]


def test_failed_pair_fails_the_side_that_is_held_to_the_other(run: Path) -> None:
    path = run / TARGET / "verify.json"
    document = json.loads(path.read_text())
    document["pairs"][1]["status"] = "failed"
    path.write_text(json.dumps(document))
    table = rows(collect(run))
    assert [row.verdict for row in table] == ["ok", "ok", "failed", "ok"]
    assert table[2].reason == "disagrees with model.int8.tflite in LiteRT"


def test_gate_of_one_runtime_leaves_the_other_alone(run: Path) -> None:
    gate = {"gate": "max_latency_p90_ms", "limit": 0.01, "value": 0.0364, "status": "failed"}
    change(run / TARGET / "latency.json", gates=[gate | {"artifact": "model.float32.onnx@onnxruntime"}])
    table = rows(collect(run))
    assert [row.verdict for row in table] == ["ok", "ok", "ok", "failed"]
    change(run / TARGET / "latency.json", gates=[gate | {"artifact": "model.float32.onnx@openvino"}])
    assert {row.verdict for row in rows(collect(run))} == {"ok"}
    assert table[3].reason == "max_latency_p90_ms: 0.0364 ms, limit 0.01 ms, missed by 0.0264 ms"


def test_gate_of_the_image_concerns_every_artifact(run: Path) -> None:
    gate = {"gate": "image_mib", "artifact": "image", "limit": 100, "value": 144.6, "status": "failed"}
    change(run / TARGET / "image" / "image.json", gates=[gate])
    table = rows(collect(run))
    assert {row.verdict for row in table} == {"failed"}
    assert table[0].reason == "image_mib: 145 MiB, limit 100 MiB, missed by 44.6 MiB"


def test_fastest_ships_and_the_smallest_among_equally_fast(run: Path) -> None:
    (verdict,) = verdicts(collect(run))
    assert verdict.headline == "Ship model.int8.tflite in LiteRT"
    assert verdict.why.startswith("The fastest of the 4 that passed: 0.0125 ms median in the container, 20.8 KiB")
    path = run / TARGET / "latency.json"
    document = json.loads(path.read_text())
    document["container"]["results"][3]["latency_ms"]["p50"] = 0.0120  # 3 % faster, three times as large
    path.write_text(json.dumps(document))
    (verdict,) = verdicts(collect(run))
    assert verdict.headline == "Ship model.int8.tflite in LiteRT"
    assert verdict.why.startswith("The smallest of the 2 fastest of the 4 that passed")


def test_nothing_to_ship(run: Path, runs: ModuleType) -> None:
    runs.put(run / TARGET / "verify.json", runs.verify_document(limit=-1.0))
    (verdict,) = verdicts(collect(run))
    assert (verdict.status, verdict.headline, verdict.row) == ("failed", "Nothing to ship", None)
    assert len(verdict.misses) == 4


def test_next_commands_fit_the_state(run: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert next_commands(collect(run)) == (
        f"edgepack verify digits/{TARGET}",
        f"docker run --rm --network none edgepack/digits:{TARGET}",
    )
    commands = next_commands(collect(mixed))
    assert "docker build -t edgepack/digits:android-arm64 out/digits/android-arm64/image" in commands
    (run / TARGET / "image" / "image.json").unlink()
    (run / TARGET / "latency.json").unlink()
    assert next_commands(collect(run))[1] == f"edgepack image digits/{TARGET}"
    for name in ("manifest.json", "verify.json"):
        (run / TARGET / name).unlink()
    assert next_commands(collect(run)) == ("edgepack run examples/digits/recipe.yaml",)


def test_terminal_table_fits_100_columns(mixed: Path) -> None:
    report = collect(mixed)
    stream = StringIO()
    Console(file=stream, width=100, color_system=None).print(rich_table(report))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    for row in rows(report):
        matching = [line for line in lines if line.split()[:1] == [row.artifact.removeprefix("model.")]]
        assert matching, f"{row.artifact} is cut or folded"
    assert any("missed by" in line for line in lines) or "missed" in stream.getvalue()
    assert "no container engine answers" in stream.getvalue()
