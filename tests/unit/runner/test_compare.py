import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.runner import bundle as bundles
from edgepack.runner import compare
from edgepack.runner.errors import RunnerError, UsageError

from .conftest import edit

SHORT = ["--rounds", "3", "--max-rounds", "3", "--turns", "4", "--turn-s", "0.002", "--warmup-s", "0", "--quick"]
SLOWED = '''
import time
from .onnxruntime import EXCLUDE, FORMAT, MODULE, REQUIREMENTS, version
from .onnxruntime import Session as Real
class Session(Real):
    """What takes 2 ms longer."""
    def set_inputs(self, feed):
        super().set_inputs(feed)
        quick = self.invoke
        def slowed():
            end_ns = time.perf_counter_ns() + 2_000_000
            quick()
            while time.perf_counter_ns() < end_ns:
                pass
        self.invoke = slowed
'''


def run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "runner", "compare", *map(str, words), *SHORT]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def device(copied: Path) -> Path:
    (copied / "runner/sessions/slowed.py").write_text(SLOWED)
    return copied


def test_what_is_slower_is_found_and_all_is_said(device: Path, bundle: Path, float_model: Path) -> None:
    done = run(device, "--a", bundle, "--a-artifact", "model.float32.onnx", "--b", float_model, "--b-runtime", "slowed")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "edgepack.comparison/1"
    assert document["significant"]
    assert document["ratio"] > document["interval"][0] > 1.5
    assert document["b"]["p50_ms"] >= 2
    assert (document["a"]["runtime"], document["b"]["runtime"]) == ("onnxruntime", "slowed")
    assert document["a"]["sha256"] == document["b"]["sha256"] == bundles.sha256(float_model)
    assert document["a"]["input"].startswith("golden") and document["b"]["input"].startswith("32 samples of noise")
    assert len(document["rounds"]) == 3
    for one in document["rounds"]:
        assert len(one["order"]) == 8 and {one["order"][:4], one["order"][4:]} <= {"ABBA", "BAAB"}
        assert len(one["a_turns_ms"]) == len(one["b_turns_ms"]) == 4
    assert document["flags"][0]["kind"] == "quick"


@pytest.mark.parametrize(
    ("runtime", "said"),
    [("crashing", "SIGSEGV"), ("odd", "KeyError: 'what a runtime may throw'")],
    ids=["crash", "error"],
)
def test_a_side_that_fails_is_named_whichever_it_is(device: Path, float_model: Path, runtime: str, said: str) -> None:
    for letter in "ab":
        done = run(device, "--a", float_model, "--b", float_model, f"--{letter}-runtime", runtime)
        assert done.returncode == 6
        assert f"model.float32.onnx with {runtime}" in done.stderr and said in done.stderr
        assert done.stdout == ""


def test_an_altered_file_is_not_compared(bundle: Path) -> None:
    edit(bundle, lambda m: m["artifacts"][0].update(sha256="0" * 64))
    one, other = bundles.read(bundle)
    with pytest.raises(RunnerError, match="a wrong model has no latency"):
        compare.compare(other, one, compare.Rounds())


@pytest.mark.parametrize("numbers", [{"rounds": 1}, {"turns": 3}, {"turns": 0}, {"turn_s": -1}])
def test_rounds_out_of_range_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="two rounds or more"):
        compare.Rounds(**numbers)


@pytest.mark.parametrize("numbers", [{"max_rounds": 9}, {"within": 0}])
def test_an_end_that_cannot_be_reached_is_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="max_rounds of at least rounds, and within above 0"):
        compare.Rounds(**numbers)


@pytest.mark.parametrize(("within", "rounds", "flags"), [("1e9", 3, []), ("1e-9", 5, ["wide"])])
def test_rounds_go_on_until_the_interval_is_narrow(
    within: str, rounds: int, flags: list[str], device: Path, float_model: Path
) -> None:
    words = ["--rounds", "3", "--max-rounds", "5", "--within", within, "--turns", "2", "--turn-s", "0.002"]
    argv = [sys.executable, "-m", "runner", "compare", "--a", float_model, "--b", float_model, *words]
    done = subprocess.run(
        argv, env={**os.environ, "PYTHONPATH": str(device)}, capture_output=True, timeout=120, check=True
    )
    document = json.loads(done.stdout)
    assert len(document["rounds"]) == rounds
    assert [flag["kind"] for flag in document["flags"]] == flags


@pytest.mark.parametrize("spread", [0.03, 0.1])
def test_where_it_stops_finds_no_difference_that_is_not_there(spread: float) -> None:
    """Of rounds that spread, a tenth of them off by a third: at most one of twenty is wrong, either way."""
    random = np.random.default_rng(0)
    limits = compare.Rounds()
    found = missed = 0
    for _ in range(200):
        logarithms = random.normal(0, spread, limits.max_rounds)
        logarithms += random.choice([-0.3, 0.0, 0.3], limits.max_rounds, p=[0.05, 0.9, 0.05])
        ratios = list(np.exp(logarithms))
        ends = range(limits.rounds, limits.max_rounds)
        end = next((n for n in ends if compare.half_width(ratios[:n]) <= limits.within), limits.max_rounds)
        _, low, high = compare.interval(ratios[:end])
        found += not low <= 1 <= high
        missed += low * 1.1 <= 1 <= high * 1.1
    assert max(found, missed) <= 10


def test_a_bundle_with_several_files_asks_for_one(bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"name one of: model\.float32\.onnx, model\.int8\.onnx"):
        bundles.one(bundle)
    assert bundles.one(bundle, artifact="model.int8.onnx").golden == bundle / "golden.npz"
    assert bundles.one(bundle / "model.int8.onnx", threads=2).threads == 2
