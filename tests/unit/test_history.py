"""Is a history added to as a whole, and read whatever else lies in it?"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_bundles import write_bundle

from edgepack import history
from edgepack.errors import MissingError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = "model.float32.onnx"


def measured(**changes: Any) -> dict[str, Any]:
    result = {
        "artifact": FILE,
        "sha256": "0" * 64,
        "runtime": "onnxruntime",
        "runtime_version": "1.23",
        "threads": 2,
        "status": "ok",
        "latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.0},
        "interval_ms": {"p50": [0.9, 1.1], "p90": [1.9, 2.1], "p99": None},
        "samples_ns": [1],
        "flags": [{"kind": "short", "text": "Too short."}],
        "processes": [{"p50_ms": 1.0}],
        **changes,
    }
    return {
        "device": {"address": "local", "name": "local", "simulated": False},
        "environment": {"cpu": "a processor", "machine_model": None},
        "results": [result, {"artifact": "other", "status": "error"}],
    }


def test_what_is_appended_is_read_with_the_name_of_the_artifact_over_time(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    for what in (folder, folder / FILE):
        history.append(tmp_path / "history", history.entries(measured(), what, now=NOW))
    lone = tmp_path / "lone.onnx"
    lone.write_bytes(b"anything")
    history.append(tmp_path / "history", history.entries(measured(), lone, now=NOW))
    records = history.read(tmp_path / "history")
    assert [record["lineage"] for record in records] == [f"shapes/linux-amd64-cpu/{FILE}"] * 2 + [FILE]
    first = records[0]
    assert (first["time"], first["flags"], first["processes_p50_ms"]) == ("2026-03-01T12:00:00Z", ["short"], [1.0])
    assert "samples_ns" not in first
    one, other = history.series(records).items()
    assert one[0] == (f"shapes/linux-amd64-cpu/{FILE}", "local (a processor)", "onnxruntime", 2)
    assert (len(one[1]), len(other[1])) == (2, 1)


@pytest.mark.parametrize(
    ("address", "name"),
    [("docker:digits:1", "docker (a processor)"), ("ssh://pi@board", "ssh://pi@board"), ("board", "board")],
)
def test_points_of_one_line_are_of_one_device(address: str, name: str) -> None:
    document = measured()
    document["device"] = {"address": address, "name": "x", "simulated": address == "board"}
    (record,) = history.entries(document, Path("lone.onnx"), now=NOW)
    assert history.key(record).device == name


def test_many_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    records = history.entries(measured(), Path("lone.onnx"), now=NOW)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: history.append(tmp_path, records * 3), range(20)))
    assert len(history.read(tmp_path)) == 60
    assert len((tmp_path / history.FILE).read_bytes().splitlines()) == 60


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_whatever_stands_in_the_file_the_next_record_is_read(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / history.FILE).write_bytes(rubbish)
    history.append(tmp_path, history.entries(measured(), Path("lone.onnx"), now=NOW))
    assert [record["lineage"] for record in history.read(tmp_path)] == [FILE]


def test_records_of_another_kind_are_left_out(tmp_path: Path) -> None:
    (record,) = history.entries(measured(), Path("lone.onnx"), now=NOW)
    odd = [
        {**record, "schema": "other/1"},
        {**record, "latency_ms": {"p50": "fast"}},
        {**record, "device": None},
        [],
        5,
    ]
    (tmp_path / history.FILE).write_text("\n".join(map(json.dumps, odd)) + "\n")
    assert history.read(tmp_path) == []
    assert history.read(tmp_path / "nowhere") == []


def test_a_folder_that_cannot_be_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingError, match="cannot be written"):
        history.append(tmp_path / "file" / "below", history.entries(measured(), Path("lone.onnx"), now=NOW))
