"""Is a person told how long it will still take, at a terminal and in a log?"""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import worklogs
from edgepack.cli.durations import Durations
from edgepack.cli.output import Progress, left, spent

WORK = """
import time
from edgepack.cli.output import Progress
with Progress(about="recipe") as progress:
    progress.started("train", "")
    for step in range(1, 9):
        time.sleep(0.1)
        progress.progress("train", {"label": "train", "step": step, "steps": 40, "text": "epoch 1"})
    progress.finished("train", "", seconds=65.0, cached=False)
    progress.started("export", "")
    time.sleep(0.3)
    progress.finished("export", "", seconds=3.0, cached=False)
"""


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3900, "1:05:00")])
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert left(seconds) == text


def test_what_took_a_time_before_is_expected_to_take_it_again() -> None:
    assert spent(4, 10) == "about 0:06 left"
    assert spent(12, 10) == "0:12 so far"
    assert spent(12, None) == "0:12 so far"


def test_a_log_has_a_line_now_and_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock, durations = Clock(), Durations(tmp_path / "durations.json")
    for _ in range(2):
        with Progress(about="recipe.yaml", durations=durations, clock=clock) as progress:
            progress.started("train", "")
            for step in range(1, 5):
                clock.now += 10
                progress.progress("train", {"label": "train", "step": step, "steps": 8, "text": "loss 0.1"})
            progress.finished("train", "", seconds=40.0, cached=False)
    first = ["  … train", "    train: 2 of 8, 1:00 left, loss 0.1", "    train: 4 of 8, 0:40 left, loss 0.1"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == first
    assert lines[4:] == ["  … train (about 0:40)", *first[1:], lines[3]]


def test_a_single_command_is_remembered_unless_it_fails(tmp_path: Path) -> None:
    clock, durations = Clock(), Durations(tmp_path / "durations.json")
    with Progress(durations=durations, clock=clock) as progress:
        progress.started("convert", "a.h5")
        clock.now += 7
    assert durations.expected(["convert a.h5"]) == 7
    assert durations.expected(["convert b.h5", "convert"]) == 7
    with suppress(OSError), Progress(durations=durations, clock=clock) as progress:
        progress.started("convert", "a.h5")
        clock.now += 1
        raise OSError("disk")
    assert durations.expected(["convert a.h5"]) == 7


@given(content=st.text() | st.sampled_from(["[]", '{"a": "b"}', '{"a": null, "b": 2}']))
def test_a_damaged_memory_is_none(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    path = tmp_path_factory.getbasetemp() / "durations.json"
    path.write_text(content, errors="replace")
    assert Durations(path).expected(["a"]) is None
    Durations(path).note(["a"], 3.0)
    assert Durations(path).expected(["a"]) == 3


def test_a_terminal_shows_the_time_left(tmp_path: Path) -> None:
    for known in (False, True):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"}
        process = subprocess.Popen([sys.executable, "-c", WORK], env=environment, stderr=theirs, stdin=theirs)
        os.close(theirs)
        screen = b""
        while True:
            try:
                screen += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        os.close(ours)
        assert process.wait(60) == 0
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.decode())
        assert re.search(r"train .* 0:0[0-9] left epoch 1", text), text
        assert ("export" in text, "about 0:03 left" in text) == (True, known)


def test_logs_of_single_commands_are_kept_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "edgepack" / "logs"
    folder.mkdir(parents=True)
    for number in range(worklogs.KEPT + 5):
        (folder / f"old-{number}.log").touch()
        os.utime(folder / f"old-{number}.log", (number, number))
    path = worklogs.place("convert")
    assert path == folder / f"convert-{os.getpid()}.log"
    kept = {one.name for one in folder.iterdir()}
    assert len(kept) == worklogs.KEPT
    assert {path.name, f"old-{worklogs.KEPT + 4}.log"} <= kept


def test_nothing_is_in_the_way_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    Durations().note(["a"], 3.0)
    assert Durations().expected(["a"]) is None
    worklogs.place("convert").write_text("it can be written")
