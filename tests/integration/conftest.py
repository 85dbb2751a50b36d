"""What do the integration tests share: one real run of the demo, and a way to start edgepack."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT, TIMEOUT_S, Edgepack, Finished, command

from edgepack.tf_environment import environment

os.environ.update(environment())  # before TensorFlow is imported here, as in edgepack's own processes


@pytest.fixture(scope="session")
def edgepack() -> Edgepack:
    """Runs the real command line in a process of its own."""

    def run(*words: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Finished:
        done = subprocess.run(
            command(*words),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def digits_out(tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Path:
    """The demo, run once for all tests, whichever process they run in; read only.

    Continuous integration has run it before: ``EDGEPACK_TEST_DEMO`` names the folder, with what it printed.
    """
    if ready := os.environ.get("EDGEPACK_TEST_DEMO"):
        return Path(ready)
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    out = shared / "demo"
    printed = out / "stdout.txt"
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            done = edgepack("run", "examples/digits/recipe.yaml", "--out", out)
            assert done.returncode == 0, done.stderr
            printed.write_text(done.stdout)
    return out


@pytest.fixture(scope="session")
def digits_run(digits_out: Path) -> Path:
    """The run folder of the demo; read only."""
    return digits_out / "digits"


@pytest.fixture(scope="session")
def digits_bundle(digits_run: Path) -> Path:
    """The bundle of the demo; read only."""
    return digits_run / "linux-amd64-cpu"


@pytest.fixture
def bundle_copy(digits_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    copy = tmp_path / "digits" / digits_bundle.name
    shutil.copytree(digits_bundle, copy)
    return copy
