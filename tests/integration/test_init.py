"""Does what `edgepack init` writes run, for models and data of every kind, without a question where nobody answers?"""

import json
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_iris
from support import TIMEOUT_S, Edgepack, command, read_json

from edgepack import yamlfile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> Path:
    """What people have: a trained model, finished files, samples as arrays, as images and as a table."""
    made = tmp_path_factory.mktemp("own")
    (model,) = (digits_run / "cache").glob("train-*/model.h5")
    shutil.copy(model, made / "own.h5")
    for name in ("model.int8.tflite", "model.float32.onnx"):
        shutil.copy(digits_run / "linux-amd64-cpu" / name, made)
    digits = load_digits()
    pixels = (digits.images * (255 / 16)).astype(np.uint8)
    np.savez(made / "samples.npz", x=pixels[..., None], y=digits.target)
    for index in range(120):
        path = made / "pictures" / f"digit {digits.target[index] % 3}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(path)
    flowers = load_iris()
    rows = [
        f"{number},{','.join(map(str, flower))},cm,{flowers.target_names[sort]}"
        for number, (flower, sort) in enumerate(zip(flowers.data, flowers.target, strict=True))
    ]
    (made / "flowers.csv").write_text("\n".join(["id,a,b,c,d,unit,sort", *rows]) + "\n")
    return made


def begun(edgepack: Edgepack, folder: Path, *words: str) -> dict[str, Any]:
    """The recipe that `init` writes without a terminal."""
    done = edgepack("init", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"  edgepack run {words[0]}/recipe.yaml"
    return dict(yamlfile.read(folder / words[0] / "recipe.yaml").content)


def verified(edgepack: Edgepack, folder: Path, name: str, target: str) -> list[Any]:
    """What the verification of a smoke run says of each artifact."""
    done = edgepack("run", f"{name}/recipe.yaml", "--smoke", "--to", "verify", cwd=folder)
    assert done.returncode == 0, done.stderr
    return list(read_json(folder / "out" / f"{name}-smoke" / target / "verify.json")["artifacts"])


def test_own_model_gets_the_preprocessing_that_it_was_trained_with(edgepack: Edgepack, folder: Path) -> None:
    """That the whole of it runs is the tutorial's matter: tests/integration/test_docs.py does what it says."""
    recipe = begun(edgepack, folder, "whole", "--model", "own.h5", "--data", "samples.npz")
    assert recipe["model"] == {"file": "../own.h5"}
    assert recipe["data"]["preprocessing"] == {"scale": pytest.approx(1 / 255)}
    text = (folder / "whole" / "recipe.yaml").read_text()
    assert re.search(r"# the model is right on 9\d% of 200 samples; \d+% with x \* 1, ", text)


def test_table_leaves_out_what_says_nothing(edgepack: Edgepack, folder: Path) -> None:
    recipe = begun(edgepack, folder, "flowers", "--data", "flowers.csv", "--model", "mlp", "--target", "mcu-cortex-m")
    assert recipe["data"]["target"] == "sort"
    assert set(recipe["data"]["table"]["columns"]) == {"id", "unit"}
    done = edgepack("run", "flowers/recipe.yaml", "--smoke", "--to", "train", cwd=folder)
    assert done.returncode == 0, done.stderr


def test_finished_files_are_taken_as_they_are(edgepack: Edgepack, folder: Path) -> None:
    words = ("--model", "model.int8.tflite", "--model", "model.float32.onnx", "--data", "digits")
    recipe = begun(edgepack, folder, "finished", *words)
    assert recipe["data"]["preprocessing"] == {"scale": 0.0625}
    assert set(recipe) == {"name", "data", "model", "targets"}
    assert [record["accuracy"] > 0.9 for record in verified(edgepack, folder, "finished", "linux-amd64-cpu")] == [
        True
    ] * 2


def test_model_of_other_classes_gets_a_new_head_and_images_its_size(edgepack: Edgepack, folder: Path) -> None:
    recipe = begun(edgepack, folder, "head", "--model", "own.h5", "--data", "pictures")
    assert recipe["data"] == {
        "image_folder": "../pictures",
        "size": [8, 8],
        "channels": 1,
        "preprocessing": {"scale": pytest.approx(1 / 255)},
    }
    assert recipe["model"]["new_head"] == {}
    assert recipe["training"]["transfer"] == {}
    done = edgepack("plan", "head/recipe.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr


def test_what_does_not_fit_is_told_and_leaves_nothing(edgepack: Edgepack, folder: Path) -> None:
    done = edgepack("init", "not", "--model", "model.int8.tflite", "--data", "wine", cwd=folder)
    assert done.returncode == 2
    assert "takes samples of shape (8, 8, 1), but the data have (13)" in done.stderr
    assert not (folder / "not").exists()


def test_own_model_without_samples_is_refused_where_nobody_answers(edgepack: Edgepack, digits_run: Path) -> None:
    (model,) = (digits_run / "cache").glob("train-*/model.h5")
    done = edgepack("init", "alone", "--model", model, cwd=digits_run.parent)
    assert (done.returncode, "no --data" in done.stderr) == (3, True)


def test_each_question_is_answered_by_enter_and_a_recipe_is_kept(tmp_path: Path) -> None:
    screen, code = _at_a_terminal(tmp_path, "init", "first", answers=["", "digit", "", "", ""])
    assert code == 0, screen
    assert "did you mean 'digits'?" in screen  # asked again
    assert screen.rstrip().splitlines()[-1].strip() == "edgepack run first/recipe.yaml"
    before = (tmp_path / "first" / "recipe.yaml").read_text()
    assert yamlfile.read(tmp_path / "first" / "recipe.yaml").content["data"]["sklearn"] == "digits"
    screen, code = _at_a_terminal(tmp_path, "init", "first")
    assert (code, "is there already" in screen, "--force" in screen) == (2, True, True)
    assert (tmp_path / "first" / "recipe.yaml").read_text() == before


def test_assumptions_are_told_as_json_too(edgepack: Edgepack, tmp_path: Path) -> None:
    done = edgepack("init", "new", "--json", "--data", "wine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["recipe"]) == ("edgepack.init/1", "new/recipe.yaml")
    assert [text.split(":")[0] for text in document["assumed"]] == [
        "assumed --model", "assumed --target", "assumed --precision",
    ]  # fmt: skip


def _at_a_terminal(folder: Path, *words: str, answers: Sequence[str] = ()) -> tuple[str, int]:
    """What a person sees who types these answers, each when it is asked for, and the exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*words), cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb"}
    )
    os.close(theirs)
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    seen = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        seen += read
    os.close(ours)
    return seen.decode(), process.wait(TIMEOUT_S)
