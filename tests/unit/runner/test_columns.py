"""Does the runner refuse a feed that was made for other columns, and read one that was made for these?"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.runner import bundle as bundles
from edgepack.runner import columns, measure, verify
from edgepack.runner.errors import UsageError

from .conftest import WEIGHTS, edit, save_golden

NUMBER = {"type": "number", "vocabulary": None, "unknown": None, "missing": None}
COLUMNS: list[dict[str, Any]] = [
    {"name": "age", **NUMBER},
    {"name": "ward", "type": "category", "vocabulary": ["north", "ä"], "unknown": 2, "missing": 3},
    {"name": "height", **NUMBER},
    {"name": "pressure", **NUMBER},
]
NAMES = [str(column["name"]) for column in COLUMNS]


def test_texts_become_numbers_and_codes_in_the_models_order() -> None:
    given = ["ward", "pressure", "age", "height"]
    rows = [["ä", "1e3", "", "7"], ["south", " -2 ", "NaN", "na"], ["N/A", "0", "1", "2"]]
    expected = [[np.nan, 1, 7, 1000], [np.nan, 2, np.nan, -2], [1, 3, 2, 0]]
    np.testing.assert_array_equal(columns.encode(given, rows, COLUMNS), np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["age", "ward", "height"],
            "has 3 columns, the model takes these 4: age, ward, height, pressure; 'press",
        ),
        (["age", "ward", "hight", "pressure"], "'height' is missing (is it 'hight'?)"),
        (
            [*NAMES, "name"],
            "has 5 columns, the model takes these 4: age, ward, height, pressure; 'name' is",
        ),
        ([*NAMES, "age"], "one is there twice"),
    ],
)
def test_other_columns_are_refused_by_name(given: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        columns.check_names(given, COLUMNS)
    assert message in str(caught.value)


def test_a_row_that_is_no_row_is_named() -> None:
    with pytest.raises(UsageError, match="row 1 of the feed: 'age' got 'old'; expected a number"):
        columns.encode(NAMES, [["1", "ä", "2", "3"], ["old", "ä", "2", "3"]], COLUMNS)
    with pytest.raises(UsageError, match="row 0 of the feed has 2 values; expected 4"):
        columns.encode(NAMES, [["1", "ä"]], COLUMNS)


@pytest.fixture
def table(bundle: Path, samples: np.ndarray) -> Path:
    """The bundle of the float model, which takes the columns above."""
    edit(bundle, lambda manifest: manifest["artifacts"].pop())
    edit(bundle, lambda manifest: manifest.update(columns=COLUMNS, labels=["a", "b", "c"]))
    rename(bundle, NAMES)
    return bundle


def rename(folder: Path, names: list[str] | None) -> None:
    with np.load(folder / "golden.npz") as old:
        arrays: dict[str, Any] = {key: value for key, value in old.items() if key != "columns"}
    save_golden(folder, arrays if names is None else {**arrays, "columns": np.array(names)})


def test_golden_samples_of_these_columns_are_verified_and_measured(table: Path) -> None:
    entries = bundles.read(table)
    (result,) = verify.verify(entries)["results"]
    assert (result["status"], result["identical"]) == ("ok", True)
    (measured,) = measure.bench(entries, measure.Protocol(0, 2, 0, 5))["results"]
    assert measured["status"] == "ok"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["age", "ward", "height", "blood"], "'pressure' is missing"),
        (["ward", "age", "height", "pressure"], "column 0 of the feed is 'ward'; the model takes 'age' there"),
        (NAMES[:3], "the feed has 3 columns, the model takes these 4"),
        (None, "holds no array 'columns'"),
    ],
)
def test_golden_samples_of_other_columns_are_not_run(table: Path, names: list[str] | None, message: str) -> None:
    rename(table, names)
    entries = bundles.read(table)
    for result in (
        *verify.verify(entries)["results"],
        *measure.bench(entries, measure.Protocol(0, 2, 0, 5))["results"],
    ):
        assert result["status"] == "error"
        assert message in result["reason"]


def ask(folder: Path, rows: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "edgepack.runner", "predict", "--bundle", str(folder), "--csv", str(rows)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_rows_of_a_csv_file_are_answered(table: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("height,age,ward,pressure\n0.5,1,ä,0\n-1,0,south,2\n", encoding="utf-8")
    done = ask(table, rows)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    logits = np.array([[1, 1, 0.5, 0], [0, 2, -1, 2]]) @ WEIGHTS
    powers = np.exp(logits)
    np.testing.assert_allclose(result["outputs"], powers / powers.sum(1, keepdims=True), rtol=1e-5)
    assert result["labels"] == ["abc"[place] for place in logits.argmax(1)]


def test_rows_of_other_columns_end_with_one_sentence(table: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("height,age,ward,presure\n0.5,1,ä,0\n", encoding="utf-8")
    done = ask(table, rows)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("runner: the feed has 4 columns, the model takes these 4: age, ward")
    assert "'pressure' is missing (is it 'presure'?)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be read as CSV" in ask(table, tmp_path / "absent.csv").stderr


def test_a_model_of_images_is_not_asked_for_rows(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    done = ask(bundle, tmp_path / "rows.csv")
    assert done.returncode == 2
    assert "its model is not one of a table" in done.stderr
