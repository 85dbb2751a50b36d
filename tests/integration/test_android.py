"""Is a phone measured through the real adb, and does each thing that can go wrong there give one clear message?"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
import phones
import pytest
from adb_daemon import Daemon

from edgepack import baseline, bundle, history, transports
from edgepack.android import program as android_program
from edgepack.android.adb import Adb
from edgepack.android.errors import ProgramError
from edgepack.errors import DeviceError, MissingError, RecipeError
from edgepack.protocol import Protocol

QUICK = Protocol(0.05, 10, 0.05, quick=True)
ROWS = Protocol(0.02, 50, 0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[phones.Server]:
    with phones.server(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def phone(server: phones.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # locks of phones that are gone are of no use
    monkeypatch.setattr("tempfile.tempdir", None)
    with phones.phone(tmp_path / "phone") as daemon:
        yield daemon
        server.adb("disconnect")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return phones.program(tmp_path)


def measure(
    daemon: Daemon, what: Path, program: Path, *, protocol: Protocol = QUICK, options: str = "", **words: Any
) -> tuple[dict[str, Any], int]:
    """Measure as the command does."""
    address = f"adb://{daemon.address}?benchmark_model={program}{options}"
    with transports.connect(address) as device:
        given = {"artifacts": (), "runtime": None, "threads": None, **words}
        return cast(transports.Benches, device).bench(what, protocol=protocol, **given)


def test_a_bundle_is_measured_with_its_own_samples_on_the_fast_cores(
    phone: Daemon, program: Path, digits_bundle: Path, tmp_path: Path
) -> None:
    document, code = measure(phone, digits_bundle, program, protocol=ROWS, artifacts=["model.float32.tflite"])
    assert (code, document["schema"]) == (0, "edgepack.latency/1")
    assert [result["artifact"] for result in document["results"]] == ["model.float32.tflite"]
    assert document["device"]["name"] == "Example Stand-in"
    assert document["protocol"]["input"] == "golden samples of the bundle, another one for each run"
    assert document["environment"]["android"] == "14"
    for result in document["results"]:
        assert result["status"] == "ok" and result["runs"] >= 50 and len(result["windows"]) == 5
        latency = result["latency_ms"]
        assert latency["min"] <= latency["p5"] <= latency["p50"] <= latency["p95"] <= latency["max"]
        assert latency["p90"] is None and latency["p99"] is None
        low, high = result["interval_ms"]["p50"]
        assert low <= latency["p50"] <= high
        total = result["nodes"]["total"]
        assert result["nodes"]["by"] == {"XNNPACK": 2, "LiteRT": total - 2}
        assert [process["p50_ms"] for process in result["processes"]] == [item["p50_ms"] for item in result["windows"]]
        assert result["peak_rss_mib"] == 12.5 and result["energy_mj"] is None
        assert [operator["type"] for operator in result["details"]["operators"]] == ["CONV_2D", "FULLY_CONNECTED"]
        golden = result["details"]["golden"]
        assert (golden["samples"], golden["status"], golden["identical"]) == (5, "ok", True)
        state = result["machine"]["before"]
        assert (state["governor"], state["frequency_khz"], state["temperature_c"]) == ("schedutil", 2_700_000, 43.9)
        assert state["battery"] == {"level": 85, "temperature_c": 28.1, "powered": ["USB"]}
        assert state["load_average"] == [1.25, 0.75, 0.5] and state["thermal_status"] == 0
    baseline.save(tmp_path / "baseline.json", [document])
    (judgement,) = baseline.judge(tmp_path / "baseline.json", document, fail_above=0.05)
    assert (judgement.verdict, judgement.ratio) == ("ok", 1) or judgement.interval[1] > 1.05
    history.append(tmp_path / "history", history.entries(document, digits_bundle))
    (record,) = history.read(tmp_path / "history")
    assert record["device"]["address"] == f"adb://{phone.address}"
    assert set((phone.root / "masks").read_text().split()) == {"30"}
    real = np.load(digits_bundle / "golden.npz")["input"]
    held = np.fromfile(phone.root / "data/local/tmp/edgepack/model.float32.tflite.3.bin", np.float32)
    np.testing.assert_array_equal(held.reshape(real[3].shape), real[3])


def test_what_has_not_changed_is_not_sent_again(phone: Daemon, program: Path, digits_bundle: Path) -> None:
    measure(phone, digits_bundle, program, artifacts=["model.int8.tflite"])
    assert [Path(name).name.removesuffix(".part") for name in phone.sent] == [
        "benchmark_model", "model.int8.tflite", "model.int8.tflite.0.bin",
    ]  # fmt: skip
    phone.sent.clear()
    measure(phone, digits_bundle, program, artifacts=["model.int8.tflite"])
    assert phone.sent == []
    place = phone.root / "data/local/tmp/edgepack/model.int8.tflite"
    place.write_bytes(place.read_bytes()[:-1])
    measure(phone, digits_bundle, program, artifacts=["model.int8.tflite"])
    assert [Path(name).name for name in phone.sent] == ["model.int8.tflite.part"]
    assert (
        hashlib.sha256(place.read_bytes()).hexdigest()
        == hashlib.sha256((digits_bundle / "model.int8.tflite").read_bytes()).hexdigest()
    )


def test_a_wrong_model_has_no_latency(phone: Daemon, program: Path, bundle_copy: Path) -> None:
    with np.load(bundle_copy / "golden.npz") as arrays:
        stored = dict(arrays)
    stored["output/model.float32.tflite/litert"][0, 0] += 0.01
    np.savez(bundle_copy / "golden.npz", **stored)
    bundle.seal(bundle_copy)
    document, code = measure(phone, bundle_copy, program, artifacts=["model.float32.tflite"])
    (result,) = document["results"]
    assert (code, result["status"]) == (6, "error")
    assert result["reason"].startswith("the outputs differ by up to 0.01; expected at most ")
    assert "a wrong model has no latency" in result["reason"]


def test_a_phone_without_exit_codes_of_its_own_is_measured_too(
    phone: Daemon, program: Path, digits_bundle: Path
) -> None:
    phone.shell_v2 = False
    document, code = measure(phone, digits_bundle / "model.int8.tflite", program)
    (result,) = document["results"]
    assert code == 0 and result["status"] == "ok" and result["stable"] is None
    assert [flag["kind"] for flag in result["flags"]] == ["quick"]
    assert document["protocol"]["input"] == "benchmark_model's own random numbers"


def test_the_command_prints_what_a_phone_does(
    phone: Daemon, program: Path, digits_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"adb://{phone.address}?benchmark_model={program}"
    words = [sys.executable, "-m", "edgepack.cli.main", "bench", "--on", address, "--quick"]
    json_words = [*words, "--json", str(digits_bundle)]
    done = subprocess.run(json_words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert [(item["artifact"], item["status"]) for item in results] == [
        ("model.float32.tflite", "ok"),
        ("model.int8.tflite", "ok"),
    ]
    bare = str(digits_bundle / "model.int8.tflite")
    monkeypatch.setenv("COLUMNS", "120")
    shown = subprocess.run([*words, bare], capture_output=True, text=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    assert re.search(
        r"^model\.int8\.tflite +litert +1 +[\d.]+ +[\d.]+ +[\d.]+ +– +– +\d+ +12\.5 *$", shown.stdout, re.MULTILINE
    )


def test_a_crash_is_one_files_error_with_its_last_words(
    phone: Daemon, program: Path, digits_bundle: Path, tmp_path: Path
) -> None:
    crashing = tmp_path / "crash.tflite"
    shutil.copyfile(digits_bundle / "model.int8.tflite", crashing)
    document, code = measure(phone, crashing, program)
    (result,) = document["results"]
    assert (code, result["status"]) == (6, "error")
    assert "benchmark_model crashed (SIGABRT)" in result["reason"]
    assert "the stand-in was told to crash" in result["reason"]


def test_a_delegate_that_takes_nothing_is_no_measurement_of_it(
    phone: Daemon, program: Path, digits_bundle: Path
) -> None:
    file = digits_bundle / "model.int8.tflite"
    document, code = measure(phone, file, program, options="&delegate=gpu")
    assert document["device"]["address"] == f"adb://{phone.address}?delegate=gpu"
    assert code == 6 and "the GPU delegate took nothing of the model" in document["results"][0]["reason"]
    document, code = measure(phone, file, program, options="&delegate=npu")
    assert code == 6 and "no delegate for npu" in document["results"][0]["reason"]


def test_a_phone_that_is_lost_in_mid_run_is_said_to_be(phone: Daemon, program: Path, digits_bundle: Path) -> None:
    phone.cut = "--graph="
    with pytest.raises(DeviceError, match="was lost while it ran a command; it last said") as caught:
        measure(phone, digits_bundle, program)
    assert caught.value.exit_code == 6 and "keep it awake" in caught.value.fix
    phone.cut = None
    assert measure(phone, digits_bundle / "model.int8.tflite", program)[1] == 0


def test_two_phones_at_once_of_which_one_is_lost(
    phone: Daemon, program: Path, digits_bundle: Path, tmp_path: Path
) -> None:
    phone.cut = "--graph="
    with phones.phone(tmp_path / "second") as other:
        addresses = [f"adb://{daemon.address}?benchmark_model={program}" for daemon in (phone, other)]
        words = [word for address in addresses for word in ("--on", address)]
        file = str(digits_bundle / "model.int8.tflite")
        argv = [sys.executable, "-m", "edgepack.cli.main", "bench", file, *words, "--quick", "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 6
    document, _ = json.JSONDecoder().raw_decode(done.stdout)  # behind it stands the error
    lost, kept = document["devices"]
    assert lost["measurement"] is None and "was lost while it ran a command" in lost["error"]["message"]
    assert kept["error"] is None and kept["measurement"]["results"][0]["status"] == "ok"


def test_a_program_that_hangs_is_ended_on_the_phone(phone: Daemon, server: phones.Server) -> None:
    adb = Adb(phone.address)
    begin_s = time.monotonic()
    with pytest.raises(ProgramError, match="did not end within 1 s"):
        android_program.run(adb, PurePosixPath("/bin/sleep"), ["50"], cores=(), timed=True, limit_s=1)
    assert time.monotonic() - begin_s < 20


def test_no_room_is_said(phone: Daemon, program: Path, digits_bundle: Path) -> None:
    phone.full = True
    with pytest.raises(MissingError, match="has no room for benchmark_model"):
        measure(phone, digits_bundle, program)


def test_a_phone_that_does_not_trust_this_computer(phone: Daemon, program: Path, digits_bundle: Path) -> None:
    phone.allows = False
    with pytest.raises(DeviceError, match="has not allowed this computer") as caught:
        measure(phone, digits_bundle, program)
    assert "accept the key" in caught.value.fix


def test_no_phone_one_too_many_and_one_that_is_off(
    phone: Daemon, server: phones.Server, program: Path, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match="adb sees no phone"):
        transports.connect("adb:")
    with pytest.raises(DeviceError, match=r"no phone answers at 127\.0\.0\.1:9"):
        transports.connect("adb://127.0.0.1:9")
    with phones.phone(tmp_path / "second") as other:
        for daemon in (phone, other):
            server.adb("connect", daemon.address)
        with pytest.raises(DeviceError, match=f"adb sees several phones: .*{phone.address} .device.") as caught:
            transports.connect("adb:")
        assert "name one: adb://" in caught.value.fix
        with pytest.raises(DeviceError, match="adb sees no phone ABC; it sees: "):
            transports.connect("adb://ABC")
    server.adb("disconnect")
    server.adb("connect", phone.address)
    with transports.connect("adb:") as device:
        assert device.device.address == f"adb://{phone.address}"
    phone.hang_up()
    with pytest.raises(DeviceError, match="is offline"):
        transports.connect("adb:")


def test_no_server_and_no_adb(phone: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:127.0.0.1:9")
    with pytest.raises(DeviceError, match="no adb server answers"):
        transports.connect("adb:")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="the program adb is not installed"):
        transports.connect("adb:")


def test_the_program_has_to_be_there_and_the_one_that_was_meant(
    phone: Daemon, program: Path, digits_bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(MissingError, match="benchmark_model for arm64-v8a is not there: expected the file") as caught:
        measure(phone, digits_bundle, tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value) and "docs/android.md" in caught.value.fix
    with pytest.raises(RecipeError, match="is not the program that was meant"):
        measure(phone, digits_bundle, program, options=f"&sha256={'0' * 64}")
    with pytest.raises(RecipeError, match="is no program for Android"):
        measure(phone, digits_bundle, digits_bundle / "golden.npz")
    if os.uname().machine == "x86_64":
        with pytest.raises(DeviceError, match="is for x86_64, and the phone runs arm64-v8a"):
            measure(phone, digits_bundle, Path("/bin/true"))
    assert phone.sent == []


def test_words_that_do_not_fit(phone: Daemon, program: Path, digits_bundle: Path) -> None:
    for options, message in (
        ("&delegate=tpu", "'tpu'"),
        ("&cores=fast", "'fast'"),
        ("&speed=1", "'speed' is not known"),
    ):
        with pytest.raises(RecipeError, match=message):
            measure(phone, digits_bundle, program, options=options)
    with pytest.raises(RecipeError, match="a phone runs LiteRT"):
        measure(phone, digits_bundle, program, runtime="onnxruntime")
    with pytest.raises(RecipeError, match=r"a phone runs \.tflite files"):
        measure(phone, next(digits_bundle.glob("*.onnx")), program)
    with transports.connect(f"adb://{phone.address}") as device, pytest.raises(RecipeError, match="no Python runs"):
        device.ask(["verify", "--bundle", digits_bundle], timeout_s=10)


def test_a_phone_is_a_transport_like_the_others(phone: Daemon, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content")
    with transports.connect(f"adb://{phone.address}") as device:
        device.push(tmp_path / "folder", PurePosixPath("there"))
        done = device.run(["sh", "-c", "cat there/file; echo $WORD; exit 4"], timeout_s=10, env={"WORD": "a b"})
        assert (done.returncode, done.stdout.split("\n")) == (4, ["contenta b", ""])
    assert not (phone.root / "data/local/tmp/edgepack-work").exists()
