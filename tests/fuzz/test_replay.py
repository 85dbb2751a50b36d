"""Does the harness itself work, and do the readers hold against a fixed list of changed files?

A few seconds for each reader, and without Atheris; `python -m tests.fuzz` is the long search.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import BugError, RecipeError
from edgepack.runner.errors import RunnerError

from . import commands, readers, seeds
from .judge import Writes, judge
from .mutations import SCALARS, flip, mutate_json
from .readers import Part

COUNTS = {"keras": 40, "manifest": 80, "onnx": 120, "recipe": 60, "tflite": 300}
LIMIT_S = 300


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files to begin with."""
    made = tmp_path_factory.mktemp("fuzz")
    seeds.make(made)
    return made


def test_every_reader_is_replayed() -> None:
    assert set(COUNTS) == set(readers.names())


@pytest.mark.parametrize("name", readers.names())
def test_changed_files_give_errors_and_nothing_else(folder: Path, name: str) -> None:
    first, ends = 0, 0
    while True:
        done = _replay(name, folder, first)
        if done.returncode == 0:
            break
        # A library ended the process: the command, which keeps it in one of its own, must not end like that.
        assert done.returncode < 0, done.stderr[-3000:]
        end, said = commands.run(name, folder / name / "given", folder)
        assert end.startswith("exit code"), said
        first, ends = int((folder / name / "number").read_text()) + 1, ends + 1
        assert ends < 10
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    assert not found, "\n".join(f"{item['key']} ({item['part']}):\n{item['what']}" for item in found)


def _replay(name: str, folder: Path, first: int) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "tests.fuzz.replay", name, str(folder), str(first), str(COUNTS[name])]
    return subprocess.run(
        argv, cwd=seeds.ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def _raise(error: Exception) -> Part:
    def run() -> None:
        raise error

    return Part("part", run)


def test_errors_that_say_how_to_go_on_are_no_findings() -> None:
    assert judge(_raise(RecipeError("wrong", fix="correct it"))) is None
    assert judge(_raise(RunnerError("wrong"))) is None
    assert judge(Part("part", lambda: None)) is None


def test_everything_else_is_a_finding() -> None:
    for error in (RecipeError("wrong"), RecipeError("x" * 30_000, fix="y"), BugError("b", fix="y"), KeyError("a")):
        assert judge(_raise(error)) is not None


def test_what_a_runtime_raises_is_explained_by_the_product_and_edgepacks_own_errors_are_not() -> None:
    def outside() -> None:
        raise ValueError("from a library")

    def inside() -> None:
        from edgepack.runner.tensors import quantize

        quantize(None, None)  # type: ignore[arg-type]

    assert judge(Part("part", outside, explained=True)) is None
    found = judge(Part("part", inside, explained=True))
    assert found is not None and "/runner/tensors.py" in found.key


def test_a_file_outside_the_folder_is_noticed(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    writes = Writes(inside)
    with writes.watched():
        (inside / "fine").write_text("x")
        (inside / "fine").read_text()
        (inside / "folder").mkdir()
        (inside / "folder/x").touch()
        shutil.rmtree(inside / "folder")
    assert writes.seen == []
    with writes.watched():
        (inside / "../outside").write_text("x")
        (tmp_path / "made").mkdir()
    assert len(writes.seen) == 2


def test_changes_are_the_same_each_time_and_leave_the_original_alone() -> None:
    document = {"a": [1, {"b": "c"}], "d": 2.5}
    before = json.dumps(document)
    made = [json.dumps(mutate_json(document, random.Random(number))) for number in range(50)]
    assert made == [json.dumps(mutate_json(document, random.Random(number))) for number in range(50)]
    assert len(set(made)) > 25 and json.dumps(document) == before
    assert len({flip(b"0123456789", random.Random(number)) for number in range(50)}) > 25
    assert None in SCALARS
