"""What do the tests of the command line share: one small finished run, saved models, and their copies?

A plugin rather than a conftest: `test_cli.py` and `test_bad_input.py` name it, and both then share one run.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_files import MODELS, RECIPE
from support import TIMEOUT_S, Edgepack


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Path:
    """A folder with ``recipe.yaml`` and, in ``out``, its results up to verification; read only."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "recipe.yaml").write_text(RECIPE)
    done = edgepack("run", "recipe.yaml", "--to", "verify", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def work(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the small run that a test may spoil."""
    return Path(shutil.copytree(small_run, tmp_path / "work"))


@pytest.fixture
def bundle(work: Path) -> Path:
    """Its bundle."""
    return work / "out/small/linux-amd64-cpu"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of saved models: one for the digits, one for larger images, three that are damaged; read only."""
    folder = tmp_path_factory.mktemp("models")
    done = subprocess.run(
        [sys.executable, "-c", MODELS], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder
