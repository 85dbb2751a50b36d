"""Are earlier measurements drawn, each with what it was, and told apart from simulated ones?"""

import json
from pathlib import Path
from types import ModuleType

from edgepack.report import collect
from edgepack.report.collect_history import new_files
from edgepack.report.past import MOST, histories


def test_a_history_becomes_one_line_for_each_file_and_place(run: Path, runs: ModuleType) -> None:
    runs.add_history(run)
    path = runs.add_history(run, simulated=True)
    with path.open("a") as file:
        file.write('{"schema": "edgepack.history/1", "half a line\n')
        other = json.loads(path.read_text().splitlines()[0]) | {"lineage": "other/linux-amd64-cpu/model.int8.tflite"}
        file.write(json.dumps(other) + "\n")
    real, simulated = collect(run).targets[0].history
    assert (real.artifact, real.runtime, real.threads) == ("model.int8.tflite", "litert", 2)
    assert (real.where, real.simulated) == ("local (AMD EPYC 7B13)", False)
    assert (simulated.where, simulated.simulated) == ("board", True)
    assert [entry.when[:10] for entry in real.entries] == [f"2025-03-0{day}" for day in range(1, 7)]
    assert real.entries[-1].note == "contention"
    assert new_files(real) == (False, False, False, True, False, False)


def test_each_line_is_a_chart_that_tells_every_measurement(run: Path, runs: ModuleType) -> None:
    runs.add_history(run)
    runs.add_history(run, simulated=True)
    real, simulated = histories(collect(run))
    assert (real.note, simulated.note) == ("", "simulated")
    assert real.title == "model.int8.tflite in LiteRT for linux-amd64-cpu, local (AMD EPYC 7B13), 2 threads"
    assert [spot.title for spot in real.spots] == [f"2025-03-0{day}T06:00:00Z" for day in range(1, 7)]
    assert ("Flags", "contention") in real.spots[-1].facts
    assert ("Median", "0.0145 ms") in real.spots[-1].facts
    assert [spot.stop for spot in real.spots] == [True, False, False, False, False, True]


def test_long_histories_are_cut_and_lone_measurements_left_out(run: Path, runs: ModuleType) -> None:
    runs.add_history(run, count=1)
    assert histories(collect(run)) == ()
    path = run / "history" / "latency.jsonl"
    record = json.loads(path.read_text())
    lines = [json.dumps(record | {"time": f"2025-01-01T{index // 60:02}:{index % 60:02}:00Z"}) for index in range(90)]
    path.write_text("\n".join(lines))
    (chart,) = histories(collect(run))
    assert len(chart.spots) == MOST


def test_another_folder_may_hold_it(run: Path, runs: ModuleType, tmp_path: Path) -> None:
    runs.add_history(run)
    kept = tmp_path / "kept"
    (run / "history").rename(kept)
    assert collect(run).targets[0].history == ()
    assert len(collect(run, history=kept).targets[0].history) == 1
