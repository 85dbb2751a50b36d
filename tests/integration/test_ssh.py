"""Does `--on ssh://` work against a real OpenSSH server, and does each thing that goes wrong give one clear message?"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from ssh_server import SSHD, Server, make_key, require, running

from edgepack import latency, transports
from edgepack.errors import DeviceError, MissingError, RecipeError
from edgepack.protocol import Protocol
from edgepack.transports._openssh import Address, parse
from edgepack.transports.ssh import Ssh

FILE = "model.int8.tflite"
QUICK = Protocol(0.05, 5, 0.05, quick=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    require("ssh", "ssh-keygen", SSHD)
    folder = tmp_path_factory.mktemp("sshd")
    (folder / ".bashrc").write_text("echo a shell that talks; echo to everybody >&2\n")
    running_server = Server(folder)
    yield running_server
    running_server.close()


def device(server: Server, *, key: Path | None = None) -> Ssh:
    return Ssh(parse(server.address.removeprefix("ssh://")), program=server.ssh(key=key))


def test_a_cold_device_gets_what_it_lacks_and_answers_as_this_machine_does(server: Server, digits_bundle: Path) -> None:
    assert not server.cache.exists()
    with device(server) as board:
        verified, code = board.ask(["verify", "--bundle", digits_bundle, "--artifact", FILE], timeout_s=300)
        assert code == 0
        assert [item["identical"] for item in verified["results"]] == [True]
        assert {"runner", "golden.npz", FILE} < set(board.sent)
        cold_bytes = board.sent_bytes
        assert cold_bytes > 5_000_000  # numpy and LiteRT
        sent = list(board.sent)
        measured, code = latency.bench(board, digits_bundle, protocol=QUICK, artifacts=[FILE])
        assert board.sent == sent
    assert (code, measured["device"]["name"]) == (0, f"127.0.0.1-{server.port}")
    assert [item["status"] for item in measured["results"]] == ["ok"]
    assert not any((server.cache / "edgepack" / "device" / "runs").iterdir())


def test_unchanged_files_are_not_sent_again(server: Server, digits_bundle: Path, tmp_path: Path) -> None:
    with device(server) as board:
        board.ask(["verify", "--bundle", digits_bundle, "--artifact", FILE], timeout_s=300)
        before, sent = board.sent_bytes, len(board.sent)
        board.ask(["verify", "--bundle", digits_bundle, "--artifact", FILE], timeout_s=300)
        assert len(board.sent) == sent
        assert board.sent_bytes - before < 50_000  # the agent and the request
        changed = tmp_path / "other.tflite"
        changed.write_bytes((digits_bundle / FILE).read_bytes() + b"\0")
        document, _ = latency.bench(board, changed, protocol=QUICK)
        assert board.sent[sent:] == ["other.tflite"]
    assert document["results"][0]["artifact"] == "other.tflite"


def test_the_command_line_measures_several_devices_and_one_that_is_lost_takes_none_with_it(
    server: Server, digits_bundle: Path
) -> None:
    words = [sys.executable, "-m", "edgepack.cli.main", "bench", str(digits_bundle / FILE), "--quick"]
    words += ["--on", server.address, "--on", "ssh://127.0.0.1:1"]
    done = subprocess.run(
        words,
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 6, done.stderr
    assert "127.0.0.1:1 refuses connections" in done.stderr
    assert "ssh://127.0.0.1:1: no result" in done.stdout
    assert "litert" in done.stdout


def refusal(server: Server, kind: type[Exception], text: str, *, key: Path | None = None) -> None:
    with device(server, key=key) as board, pytest.raises(kind, match=text):
        board.run(["true"], timeout_s=30)


def test_the_host_key_must_be_the_known_one(server: Server, tmp_path: Path) -> None:
    try:
        server.known_hosts.write_text("")
        refusal(server, DeviceError, "the host key of .* is not known yet")
        make_key(tmp_path / "other")
        server.trust(tmp_path / "other.pub")
        refusal(server, DeviceError, "the host key of .* is not the one that is known.*Offending")
    finally:
        server.trust(server.folder / "host_key.pub")


def test_a_wrong_key_is_said_to_be_that(server: Server, tmp_path: Path) -> None:
    refusal(
        server, DeviceError, r"accepts none of your keys .*ssh-copy-id|accepts none", key=make_key(tmp_path / "wrong")
    )


def test_nobody_at_the_address(server: Server) -> None:
    nobody = Ssh(Address("127.0.0.1", port=1), program=server.ssh())
    with nobody as board, pytest.raises(DeviceError, match="refuses connections"):
        board.run(["true"], timeout_s=30)
    unarmed = Ssh(Address("127.0.0.1"), program=["no-such-ssh"])
    with unarmed as board, pytest.raises(MissingError, match="'no-such-ssh' is not installed"):
        board.run(["true"], timeout_s=30)


@pytest.mark.parametrize(
    ("python", "text"),
    [
        (None, "has no python3; the runner needs Python 3.11 or newer there"),
        ("Python 3.8.10", r"has Python 3\.8\.10; the runner needs Python 3\.11 or newer"),
    ],
)
def test_no_python_and_an_old_one_are_said_to_be_that(
    tmp_path: Path, digits_bundle: Path, python: str | None, text: str
) -> None:
    require("ssh", "ssh-keygen", SSHD)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    if python:
        # This machine's own Python, which takes itself for an old one.
        (programs / "python3").write_text(
            f"#!{sys.executable}\nimport sys\nif '-V' in sys.argv: sys.exit(print('{python}'))\n"
            "sys.version_info = (3, 8, 10, 'final', 0)\nexec(sys.argv[2])\n"
        )
        (programs / "python3").chmod(0o755)
    other = Server(tmp_path / "sshd", PATH=str(programs))
    try:
        with device(other) as board, pytest.raises(MissingError, match=text):
            board.ask(["verify", "--bundle", digits_bundle], timeout_s=60)
    finally:
        other.close()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of a few MiB, or with room for a few files only."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", request.param, "edgepack-test", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        if os.environ.get("EDGEPACK_REQUIRE_DEVICES") == "1":
            pytest.fail(f"EDGEPACK_REQUIRE_DEVICES=1, and {done.stderr}", pytrace=False)
        pytest.skip(f"needs a file system of its own: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=30)


@pytest.mark.parametrize("small_disk", ["size=20m", "size=500m,nr_inodes=40"], indirect=True)
def test_a_full_disk_is_said_to_be_that_and_nothing_half_sent_stays(
    small_disk: Path, tmp_path: Path, digits_bundle: Path
) -> None:
    require("ssh", "ssh-keygen", SSHD)
    other = Server(tmp_path / "sshd", XDG_CACHE_HOME=str(small_disk))
    try:
        with device(other) as board, pytest.raises(MissingError, match=r"the disk of 127.* is full: .*small"):
            board.ask(["verify", "--bundle", digits_bundle, "--artifact", FILE], timeout_s=300)
        parcels = small_disk / "edgepack" / "device" / "parcels"
        assert not parcels.exists() or not list(parcels.iterdir())
    finally:
        other.close()


def started(board: Ssh, seconds: str, limit_s: float) -> tuple[threading.Thread, list[Any]]:
    """Let a device sleep in a thread of its own; returns it and where its error or result goes."""
    left: list[Any] = []

    def work() -> None:
        try:
            left.append(board.run(["sleep", seconds], timeout_s=limit_s))
        except DeviceError as error:
            left.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 30
    while not running(seconds) and time.monotonic() < end:
        time.sleep(0.05)
    return thread, left


def gone(text: str) -> bool:
    end = time.monotonic() + 20
    while running(text) and time.monotonic() < end:
        time.sleep(0.05)
    return not running(text)


def test_a_connection_cut_in_mid_run_is_one_error_and_ends_what_ran(server: Server) -> None:
    with device(server) as board:
        thread, left = started(board, "876.5", 60)
        server.cut()
        thread.join(60)
    (error,) = left
    assert isinstance(error, DeviceError)
    assert "was lost in mid-run" in error.message
    assert gone("876.5")


def test_what_takes_too_long_is_ended_there_too(server: Server) -> None:
    with device(server) as board:
        thread, left = started(board, "765.4", 3)
        thread.join(60)
    assert "gave no answer within 3 s" in left[0].message
    assert gone("765.4")


def test_a_device_measures_one_thing_at_a_time(server: Server) -> None:
    with device(server) as board, device(server) as other:
        thread, left = started(board, "9.87", 60)
        with pytest.raises(DeviceError, match="is busy with another measurement"):
            other.run(["true"], timeout_s=30)
        thread.join(60)
    assert left[0].returncode == 0


def test_programs_run_in_a_folder_with_copies_of_what_was_pushed(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a b").write_text("kept")
    with device(server) as board:
        board.push(folder, PurePosixPath("deep/data"))
        board.push(folder / "a b", PurePosixPath("alone"))
        done = board.run(
            ["sh", "-c", 'cat "deep/data/a b" alone; echo "$K" >&2; rm -r deep; exit 3'], timeout_s=30, env={"K": "v w"}
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, "keptkept", "v w\n")
        assert board.run(["cat", "deep/data/a b"], timeout_s=30).stdout == "kept"
        with pytest.raises(MissingError, match="'no-such-program' is not installed on"):
            board.run(["no-such-program"], timeout_s=30)
        with pytest.raises(RecipeError, match="the runner refused"):
            board.ask(["bench", "--runtime", "litert", "--file", folder / "a b"], timeout_s=60)


def test_a_shell_that_talks_does_not_spoil_the_answer(server: Server) -> None:
    with device(server) as board:
        done = board.run(["echo", "the answer"], timeout_s=30)
    assert done.stdout == "the answer\n"
    assert transports.connect(server.address).device.address == server.address
