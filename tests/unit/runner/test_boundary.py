"""The runner is copied alone into images and to boards: it may lean on nothing that is not there."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepack.runner import sessions

from .conftest import RUNNER

FILES = sorted(RUNNER.rglob("*.py"))
# A helper module of the sessions may use what the session that it helps may use.
RUNTIME_OF = {"_onnx": "onnxruntime", **{name: sessions.load(name).MODULE for name in sessions.names()}}


def foreign_imports(tree: ast.AST) -> set[tuple[str, bool]]:
    """Top-level names imported from outside the standard library, and whether inside a function."""
    inside = {
        id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found |= {(name.split(".")[0], id(node) in inside) for name in names}
    return {(name, lazy) for name, lazy in found if name not in sys.stdlib_module_names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RUNNER)))
def test_imports_are_the_standard_library_numpy_and_one_runtime(path: Path) -> None:
    tree = ast.parse(path.read_text())
    allowed = {("numpy", False), ("numpy", True)}
    if path.parent.name == "sessions" and path.stem in RUNTIME_OF:
        allowed.add((RUNTIME_OF[path.stem], True))
    assert foreign_imports(tree) - allowed == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RUNNER)))
def test_relative_imports_stay_inside_the_runner(path: Path) -> None:
    depth = len(path.relative_to(RUNNER).parts)
    levels = [node.level for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert all(level <= depth for level in levels)


def run(copied: Path, *words: str, path: list[Path] | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": os.pathsep.join(map(str, [copied, *(path or [])]))}
    return subprocess.run(
        [sys.executable, "-S", *words], env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["bench", "--help"], ["verify", "--help"]])
def test_help_needs_nothing_but_python(copied: Path, words: list[str]) -> None:
    done = run(copied, "-m", "runner", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: runner" in done.stdout


def test_every_module_is_imported_where_there_is_only_numpy(copied: Path, tmp_path: Path) -> None:
    for name in ("numpy", "numpy.libs"):
        folder = Path(np.__file__).parents[1] / name
        if folder.exists():
            (tmp_path / name).symlink_to(folder)
    modules = [".".join(("runner", *path.relative_to(RUNNER).with_suffix("").parts)) for path in FILES]
    modules = [name.removesuffix(".__init__") for name in modules]
    program = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint('all imported')"
    done = run(copied, "-c", program, path=[tmp_path])
    assert done.stdout == "all imported\n", done.stderr


def test_a_missing_runtime_is_named_with_the_package_to_install(copied: Path, tmp_path: Path) -> None:
    for name in ("numpy", "numpy.libs"):
        folder = Path(np.__file__).parents[1] / name
        if folder.exists():
            (tmp_path / name).symlink_to(folder)
    model = tmp_path / "model.tflite"
    model.write_bytes(b"anything")
    done = run(copied, "-m", "runner", "bench", "--file", str(model), path=[tmp_path])
    assert done.returncode == 6
    assert "install ai-edge-litert" in done.stderr
    assert done.stderr.count("\n") == 1
