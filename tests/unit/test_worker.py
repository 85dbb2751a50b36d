"""Is a stage whose library crashes explained, and is one that a library holds up gone with its parent?"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edgepack import worker
from edgepack.errors import DeviceError
from edgepack.recipe import only_model
from edgepack.stages.request import Request

STAGES = {
    "crashing_stage": "import os, sys\ndef run(request):\n    print('said before', file=sys.stderr)\n    os.abort()\n",
    # As HDF5 does with some damaged files: it goes on forever, and no other thread of Python runs.
    "holding_stage": "import ctypes, os, pathlib\ndef run(request):\n"
    "    pathlib.Path(request.out, 'pid').write_text(str(os.getpid()))\n"
    "    ctypes.PyDLL(None).sleep(600)\n",
}
CALL = """
import sys
from pathlib import Path
from edgepack import worker
from edgepack.recipe import only_model
from edgepack.stages.request import Request
out = Path(sys.argv[1])
request = Request(only_model({"file": "none"}), out, out, {}, False, print)
worker.call("holding_stage", request, log_path=out / "log")
"""


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "stages"
    folder.mkdir()
    for name, text in STAGES.items():
        (folder / f"{name}.py").write_text(text)
    root = str(Path(worker.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), root]))
    return folder


def test_a_crash_names_its_signal_and_what_was_said_last(stages: Path, tmp_path: Path) -> None:
    request = Request(only_model({"file": "none"}), tmp_path, tmp_path, {}, False, lambda _: None)
    with pytest.raises(DeviceError, match=r"ended without a result \(killed by signal 6\)") as caught:
        worker.call("crashing_stage", request, log_path=tmp_path / "log")
    assert "said before" in caught.value.fix


def test_a_stage_that_a_library_holds_up_ends_with_its_parent(stages: Path, tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", CALL, str(tmp_path)])
    deadline = time.monotonic() + 60
    try:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert parent.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        pid = int((tmp_path / "pid").read_text())
        parent.kill()
        parent.wait()
        while time.monotonic() < deadline and _runs(pid):
            time.sleep(0.05)
        assert not _runs(pid)
    finally:
        parent.kill()
        parent.wait()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def _runs(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
