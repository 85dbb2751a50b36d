"""Serving is copied into images with the runner: it may lean on nothing that is not there, and must start at once."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack import serving

FOLDER = Path(serving.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
DECLARED = {name.replace("-", "_") for name in serving.REQUIREMENTS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_are_the_standard_library_numpy_the_runner_and_what_is_declared(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2 or (node.module or "").split(".")[0] == "runner"
            names = [] if node.level else [node.module or ""]
        else:
            continue
        found = {name.split(".")[0] for name in names}
        decoder = {"PIL"} if path.name == "pictures.py" else set()  # pillow, where a target asks for it
        assert found <= {*sys.stdlib_module_names, "numpy", *DECLARED, *decoder}


def test_every_package_that_a_server_loads_is_declared() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\n"
        "import edgepack.serving.server, prometheus_client.core\n"
        "new = {name: module for name, module in sys.modules.items() if name not in before}\n"
        "places = {getattr(m, '__file__', None) or '': n.split('.')[0] for n, m in new.items()}\n"
        "print(sorted({n for place, n in places.items() if 'site-' in place}))\n"
        "print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    top, modules = map(ast.literal_eval, done.stdout.splitlines())
    assert set(top) - {"numpy", "edgepack"} <= DECLARED
    assert {"uvicorn", "starlette", "httptools"} <= set(top)
    left_out = {"h11", "idna", "uvloop", "starlette.applications", "tensorflow", "onnxruntime"}
    assert not left_out & set(modules)


@pytest.mark.parametrize("words", [["--help"], ["serve", "--help"], ["bench", "--help"]])
def test_help_needs_no_server(words: list[str]) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "edgepack.serving", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert ("serve" if words[0] != "bench" else "runner bench") in done.stdout
    assert "uvicorn" not in done.stderr and "numpy" not in done.stderr


def test_the_runners_verbs_are_the_runners() -> None:
    argv = [sys.executable, "-m", "edgepack.serving", "bench", "--bundle", "no-such-folder"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("runner: there is no no-such-folder/manifest.json")
