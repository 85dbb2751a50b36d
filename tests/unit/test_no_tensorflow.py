"""Do the unit tests stay without TensorFlow, so that they take seconds?

Here: while they are collected. While they run, a fixture of `conftest.py` watches each of them.
"""

import subprocess
import sys
from pathlib import Path

PLUGIN = """
import sys

def pytest_collection_finish(session):
    found = {name.partition(".")[0] for name in sys.modules} & {"tensorflow", "tf_keras", "keras"}
    print("heavy:", sorted(found), "tests:", len(session.items))
"""


def test_no_unit_test_imports_tensorflow_when_it_is_collected(tmp_path: Path) -> None:
    (tmp_path / "heavy_modules.py").write_text(PLUGIN)
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "heavy_modules", str(Path(__file__).parent)]
    done = subprocess.run(
        argv,
        env={"PATH": "", "PYTHONPATH": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("heavy:")]
    assert line.startswith("heavy: [] tests: ")
    assert int(line.rpartition(" ")[2]) > 100
