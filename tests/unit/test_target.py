"""Do all shipped targets load, and a user's own?"""

from pathlib import Path

import pytest

from edgepack import target
from edgepack.errors import MissingError, RecipeError

OWN = """\
description: my board
platform: linux/arm64
runtimes: [litert]
precisions: [int8]
threads: 4
image:
  platform: linux/arm64
  base: my/base:1
budgets:
  artifact_kib: 100
"""


def test_the_promised_targets_are_shipped() -> None:
    assert {"linux-amd64-cpu", "linux-arm64-cpu", "android-arm64", "nvidia-gpu"} <= set(target.shipped())


@pytest.mark.parametrize("name", sorted(target.shipped()))
def test_a_shipped_target_is_whole(name: str) -> None:
    loaded = target.load(name)
    assert loaded.name == name
    assert loaded.threads >= 1
    assert loaded.formats() <= {"tflite", "onnx"} and loaded.formats()
    if loaded.image is not None:
        assert (Path(__file__).parents[2] / "containers" / loaded.image.family).is_dir()


def test_the_main_target_has_both_runtimes_and_a_budget() -> None:
    loaded = target.load("linux-amd64-cpu")
    assert set(loaded.runtimes) == {"litert", "onnxruntime"}
    assert loaded.budgets.image_mib == 300
    assert loaded.formats() == {"tflite", "onnx"}


def test_one_file_is_one_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "board.yaml").write_text(OWN)
    for loaded in (target.load(str(tmp_path / "board.yaml")), target.load("board.yaml", relative_to=tmp_path)):
        assert (loaded.name, loaded.threads, loaded.budgets.artifact_kib) == ("board", 4, 100)
        assert loaded.image.python == "3.11"
    monkeypatch.chdir(tmp_path)
    assert target.load("board.yaml", relative_to=tmp_path / "elsewhere").name == "board"


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match="unknown target 'linux-amd46-cpu'; expected one of: android-arm64") as caught:
        target.load("linux-amd46-cpu")
    assert caught.value.fix == "did you mean 'linux-amd64-cpu'?"


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no file"):
        target.load(str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "message", "fix"),
    [
        ("threads:", "thread:", "board.yaml:5: unknown key 'thread'", "did you mean 'threads'?"),
        ("threads: 4", "threads: 0", "board.yaml:5: 'threads': input should be greater than 0", "correct 'threads'"),
        ("linux/arm64\nrun", "linux/riscv\nrun", "board.yaml:2: 'platform': input should be 'linux/amd64'", "correct"),
        ("[litert]", "[litter]", "board.yaml:3: unknown runtime 'litter'; expected one of: litert", "'litert'"),
        ("[int8]", "[]", "board.yaml:4: 'precisions': expected at least one item", "correct 'precisions'"),
        ("  base: my/base:1\n", "", "board.yaml:6: the key 'image.base' is missing", "add 'image.base'"),
        ("artifact_kib", "artefact_kib", "board.yaml:10: unknown key 'budgets.artefact_kib'", "'artifact_kib'"),
    ],
)
def test_a_wrong_target_names_file_line_and_key(tmp_path: Path, old: str, new: str, message: str, fix: str) -> None:
    path = tmp_path / "board.yaml"
    assert OWN.count(old) == 1
    path.write_text(OWN.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        target.load(str(path))
    assert message in caught.value.message
    assert fix in caught.value.fix


@pytest.mark.parametrize("name", ["...yaml", "..yaml", "cache.yaml", "logs.yaml", ".yaml.yaml", "a b.yaml", "-x.yml"])
def test_a_target_is_not_called_like_another_folder(tmp_path: Path, name: str) -> None:
    """Its bundle is in ``out/<recipe>/<name of the file>``: `...yaml` would be the folder above."""
    (tmp_path / name).write_text(OWN)
    with pytest.raises(RecipeError, match="would be called") as caught:
        target.load(str(tmp_path / name))
    assert "another name" in caught.value.fix
