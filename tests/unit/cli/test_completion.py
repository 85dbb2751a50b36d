"""Does a shell complete what can stand there, at once?"""

import inspect
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgepack import extensions
from edgepack.cli import completion
from edgepack.cli.main import app

HEAVY = {"tensorflow", "tf_keras", "numpy", "rich", "docker", "onnx", "onnxruntime", "matplotlib", "ruamel"}
"""Without pydantic, which typer itself takes to read the words before the one that is completed."""

WAIT_S = 60


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recipe, a model and a finished run."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine/recipe.yaml", "own.keras", "out/mine/run.json", "out/mine/linux/manifest.json",
                 "out/mine/linux/model.int8.tflite"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def asked(*words: str, flags: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    """What bash would ask, and is answered."""
    question = {"COMP_WORDS": " ".join(("edgepack", *words)), "COMP_CWORD": str(len(words))}
    plain = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    return subprocess.run(
        [sys.executable, *flags, "-m", "edgepack.cli.main"],
        env={**plain, **question, "_EDGEPACK_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("lr",), ["lr-find"]),
        (("run", "m"), ["mine/recipe.yaml"]),
        (("run", "r.yaml", "--target", "linux-am"), ["linux-amd64-cpu"]),
        (("run", "r.yaml", "--to", "ex"), ["export"]),
        (("init", "--precision", "float"), ["float16", "float32"]),
        (("bench", "out/"), ["out/mine/linux", "out/mine/linux/model.int8.tflite"]),
        (("image", "ins"), ["inspect"]),
    ],
)
def test_words_are_completed(folder: Path, words: tuple[str, ...], expected: list[str]) -> None:
    assert asked(*words).stdout.split() == expected


def test_nothing_heavy_is_imported_for_that(folder: Path) -> None:
    done = asked("targets", "linux", flags=("-X", "importtime"))
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert HEAVY & imported == set()


def test_bash_completes_once_it_is_installed(folder: Path) -> None:
    """The real one, with the key that people press."""
    program = Path(sys.executable).parent / "edgepack"
    environment = {**os.environ, "HOME": str(folder), "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "dumb"}
    # The command is not bash's last one: bash would become it, and edgepack asks which shell started it.
    installed = subprocess.run(
        ["bash", "-c", "edgepack --install-completion && true"],
        env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert "bash completion installed" in installed.stdout, installed.stderr
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(["bash", "-i"], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder)
    os.close(theirs)
    os.write(ours, b"echo edgepack targets linux-am\t\n")
    assert "linux-amd64-cpu" not in _seen(ours, until="linux-am\n")  # echo has no completion of ours
    os.write(ours, b"edgepack targets linux-am\t")
    assert "edgepack targets linux-amd64-cpu" in _seen(ours, until="linux-amd64-cpu")
    os.write(ours, b"\x15exit\n")
    os.close(ours)
    shell.wait(WAIT_S)


def test_what_completes_fits_parameters_that_there_are() -> None:
    verbs = {info.name: info.callback for info in app.registered_commands}
    for name in completion.BY_NAME:
        verb, _, parameter = name.rpartition(".")
        places = [verb] if verb else list(verbs)
        assert any(parameter in inspect.signature(verbs[place.replace("_", "-")]).parameters for place in places), name


def test_kinds_are_those_that_there_are(folder: Path) -> None:
    assert completion.architectures("") == sorted(extensions.names("edgepack.zoo"))
    assert completion.models("") == ["own.keras"]
    assert completion.runs("out/m") == ["out/mine"]


def _seen(descriptor: int, *, until: str) -> str:
    """What a terminal shows up to a text."""
    seen, begun = "", time.monotonic()
    while until not in seen and time.monotonic() - begun < WAIT_S:
        seen += re.sub(r"[\r\a]", "", os.read(descriptor, 4096).decode())
    return seen
