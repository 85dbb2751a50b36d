"""Does each child begin afresh, though what is slow to import was imported once, and is nothing left behind?"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edgepack import forkserver
from edgepack.forkserver import started

MODULES = {
    # Each import leaves a line; a child that changed the list would show it to the next.
    "slow_library": "import os\nwith open(os.environ['IMPORTED'], 'a') as file:\n    file.write('once\\n')\n"
    "state = []\n",
    "an_entry": "import os, sys\nLIBRARIES = ('slow_library', 'no_such_library')\n"
    "def main():\n    import slow_library\n    said = sys.stdin.read()\n    slow_library.state.append(said)\n"
    "    print(said, slow_library.state, os.getcwd(), os.getsid(0) == os.getpid(), flush=True)\n"
    "    print('complaint', file=sys.stderr)\n    sys.exit(int(said))\n",
    "a_collector": "import gc\nLIBRARIES = ('slow_library',)\n"
    "def main():\n    print(gc.isenabled(), gc.get_freeze_count() > 1000, flush=True)\n",
    "a_sleeper": "import subprocess, time\ndef main():\n    child = subprocess.Popen(['sleep', '600'])\n"
    "    print(child.pid, flush=True)\n    time.sleep(600)\n",
}
LEFT_ALONE = """
import os, sys
from edgepack.forkserver import started
with open(os.devnull, "wb") as log, started("an_entry", [], env=dict(os.environ), stderr=log) as child:
    child.stdin.write(b"0")
    child.stdin.close()
    print(child.stdout.read().decode())
    child.wait()
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    root = str(Path(forkserver.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}", "IMPORTED": str(tmp_path / "imported")}


def _ask(env: dict[str, str], said: str, log: Path) -> tuple[str, int]:
    with log.open("ab") as stderr, started("an_entry", ["an_entry"], env=env, stderr=stderr) as child:
        child.stdin.write(said.encode())
        child.stdin.close()
        return child.stdout.read().decode().strip(), child.wait()


def test_libraries_are_imported_once_and_no_child_sees_another(env: dict[str, str], tmp_path: Path) -> None:
    answers = [_ask(env, str(number), tmp_path / f"log-{number}") for number in range(3)]
    assert answers == [(f"{number} ['{number}'] {Path.cwd()} True", number) for number in range(3)]
    assert (tmp_path / "imported").read_text() == "once\n"
    assert [(tmp_path / f"log-{number}").read_text() for number in range(3)] == ["complaint\n"] * 3


def test_a_child_collects_its_own_garbage_and_leaves_imports_alone(env: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        with (
            (tmp_path / "log").open("wb") as stderr,
            started("a_collector", ["a_collector"], env=env, stderr=stderr) as child,
        ):
            assert child.stdout.read() == b"True True\n"
            assert child.wait() == 0


def test_a_child_starts_where_its_parent_is_now(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(env, "0", tmp_path / "log")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert str(tmp_path / "elsewhere") in _ask(env, "0", tmp_path / "log")[0]


def test_another_environment_is_another_server(env: dict[str, str], tmp_path: Path) -> None:
    _ask(env, "0", tmp_path / "log")
    _ask({**env, "OTHER": "1"}, "0", tmp_path / "log")
    assert (tmp_path / "imported").read_text() == "once\nonce\n"


def test_what_is_left_early_is_ended_with_all_that_it_started(env: dict[str, str], tmp_path: Path) -> None:
    with (
        suppress(KeyboardInterrupt),
        (tmp_path / "log").open("wb") as stderr,
        started("a_sleeper", [], env=env, stderr=stderr) as child,
    ):
        grandchild = int(child.stdout.readline())
        raise KeyboardInterrupt
    deadline = time.monotonic() + 30
    while Path(f"/proc/{grandchild}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{grandchild}").exists()
    assert _ask(env, "7", tmp_path / "log")[1] == 7


def test_a_child_that_needs_no_library_gets_a_process_without(env: dict[str, str], tmp_path: Path) -> None:
    _ask(env, "0", tmp_path / "log")
    plain = Path(env["PYTHONPATH"].split(os.pathsep)[0]) / "a_plain_entry.py"
    plain.write_text("import sys\ndef main():\n    print('slow_library' in sys.modules, flush=True)\n")
    for _ in range(2):
        with (tmp_path / "log").open("ab") as log, started("a_plain_entry", [], env=env, stderr=log) as child:
            assert (child.stdout.read(), child.wait()) == (b"False\n", 0)
    _ask(env, "0", tmp_path / "log")
    assert (tmp_path / "imported").read_text() == "once\n"


def test_a_server_that_was_killed_is_replaced(env: dict[str, str], tmp_path: Path) -> None:
    _ask(env, "0", tmp_path / "log")
    for server in forkserver._idle:
        server._process.kill()
        server._process.wait()
    assert _ask(env, "5", tmp_path / "log")[1] == 5


def test_an_entry_that_cannot_be_imported_ends_with_its_traceback_in_the_log(
    env: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "log").open("wb") as stderr, started("no_such_entry", [], env=env, stderr=stderr) as child:
        assert child.stdout.read() == b""
        assert child.wait() == 1
    assert "No module named 'no_such_entry'" in (tmp_path / "log").read_text()


def test_a_program_that_ends_leaves_no_server(env: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", LEFT_ALONE],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "0"), done.stderr
    assert "Warning" not in done.stderr
    assert not [
        entry
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(tmp_path) in _environment_of(entry) and entry.name != str(os.getpid())
    ]


def _environment_of(entry: Path) -> str:
    try:
        words = (entry / "cmdline").read_bytes()
        return (entry / "environ").read_text(errors="replace") if b"forkserver" in words else ""
    except OSError:
        return ""
