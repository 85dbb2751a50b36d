"""Does a second measurement of a phone wait for the first?"""

import threading
from pathlib import Path

import pytest

from edgepack.android.errors import AndroidError
from edgepack.android.turns import turn


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_the_second_waits_says_so_and_goes_on() -> None:
    said: list[str] = []
    order: list[str] = []
    heard = threading.Event()

    def second() -> None:
        with turn("the phone host:5555", lambda text: (said.append(text), heard.set())[0]):
            order.append("second")

    with turn("the phone host:5555", said.append):
        thread = threading.Thread(target=second)
        thread.start()
        assert heard.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]
    assert said == ["waiting for another measurement, which has the phone host:5555"]


def test_another_phone_does_not_wait() -> None:
    said: list[str] = []
    with turn("A", said.append), turn("B", said.append):
        assert said == []


def test_it_does_not_wait_for_ever() -> None:
    def have(longest_s: float) -> None:
        with turn("A", longest_s=longest_s):
            pass

    with turn("A"), pytest.raises(AndroidError, match="in use by another measurement"):
        have(0.3)
    have(0.3)
