"""Does the command line answer at once, with nothing heavy loaded?"""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 1.5
HEAVY = {"tensorflow", "tf_keras", "numpy", "pydantic", "rich", "docker", "onnx", "onnxruntime", "matplotlib", "ruamel"}
VERBS = (
    "init",
    "run",
    "plan",
    "lr-find",
    "doctor",
    "models",
    "targets",
    "schema",
    "convert",
    "verify",
    "image",
    "deploy",
    "bench",
    "bundle",
    "compare",
    "serve",
    "report",
)
# Coverage starts itself in child processes; what is measured here is edgepack.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
MAIN = [sys.executable, "-m", "edgepack.cli.main"]


def run(*words: str, flags: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, *flags, "-m", "edgepack.cli.main", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT)


def cpu_s(argv: list[str]) -> float:
    """User and system time of one child, seconds."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert isinstance(used, resource.struct_rusage)
    return used.ru_utime + used.ru_stime


def test_help_costs_little_more_than_its_command_line_library() -> None:
    """0.13 s on a quiet machine, of which importing typer is 0.12; one import of NumPy would treble it."""
    pairs = [(cpu_s([*MAIN, "--help"]), cpu_s([sys.executable, "-c", "import typer.main"])) for _ in range(5)]
    assert min(ours for ours, _ in pairs) < LIMIT * min(theirs for _, theirs in pairs)


@pytest.mark.parametrize("words", [("--help",), ("--version",)])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    done = run(*words, flags=("-X", "importtime"))
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "typer" in imported
    assert imported & HEAVY == set()


def test_help_names_every_verb() -> None:
    done = run("--help")
    assert done.stderr == ""
    commands = done.stdout.partition("Commands:")[2]
    assert set(re.findall(r"^  ([\w-]+)  ", commands, re.MULTILINE)) == set(VERBS)


def test_no_words_at_all_give_the_help() -> None:
    assert run().stdout == run("--help").stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = run(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: edgepack {verb} ")


def test_every_verb_is_one_file() -> None:
    import edgepack.cli.verbs

    folder = Path(edgepack.cli.verbs.__path__[0])
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *(verb.replace("-", "_") for verb in VERBS)}


def test_the_options_of_the_contract_are_there() -> None:
    """Users' scripts rely on these words."""
    promised = {
        "lr-find": ["--out", "--low", "--high", "--steps", "--set", "--json"],
        "run": ["--target", "--out", "--from", "--to", "--set", "--smoke", "--json"],
        "models": ["--input", "--classes", "--set", "--json"],
        "convert": ["--format", "--precision", "--data", "-o"],
        "image": ["--tag", "--base-image", "--platform"],
        "bench": ["--on", "--runtime", "--threads", "--json"],
    }
    for verb, options in promised.items():
        text = run(verb, "--help").stdout
        assert [option for option in options if option not in text] == []


def test_the_version_is_printed() -> None:
    import edgepack

    assert run("--version").stdout == f"edgepack {edgepack.__version__}\n"
