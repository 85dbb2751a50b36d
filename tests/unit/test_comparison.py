"""What is compared with what, and what is said of it?"""

from pathlib import Path
from typing import Any

import pytest
from small_bundles import write_bundle

from edgepack import comparison
from edgepack.errors import MissingError, RecipeError

FILE = "model.float32.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def found(a: object, b: object) -> list[Any]:
    pairs = comparison._pairs(comparison._side(str(a)), comparison._side(str(b)))
    return [(one.words("a"), other.words("b")) for one, other in pairs]


def test_two_bundles_are_compared_file_by_file_in_each_runtime(folder: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other")
    words = ["--{}-artifact", FILE, "--{}-runtime", "onnxruntime"]
    expected = [[word.format(letter) for word in words] for letter in "ab"]
    assert found(folder, other) == [(["--a", folder, *expected[0]], ["--b", other, *expected[1]])]


def test_a_file_inside_a_bundle_keeps_its_golden_samples_and_a_bundle_gives_the_file_of_that_name(folder: Path) -> None:
    ((one, other),) = found(folder / FILE, folder)
    assert one == ["--a", folder, "--a-artifact", FILE]
    assert other == ["--b", folder, "--b-artifact", FILE]


def test_a_runtime_stands_behind_an_at(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "model@openvino.onnx"
    odd.write_bytes(b"anything")
    ((one, other),) = found(f"{folder / FILE}@openvino", odd)
    assert one[-2:] == ["--a-runtime", "openvino"]
    assert other == ["--b", odd]


@pytest.mark.parametrize(
    ("text", "said"),
    [("absent.onnx", "there is nothing at absent.onnx"), ("absent.onnx@litert", "there is nothing at absent.onnx")],
)
def test_what_is_not_there_is_named(folder: Path, text: str, said: str) -> None:
    with pytest.raises(MissingError, match=said):
        comparison.compare(str(folder), text)


def test_an_unknown_runtime_is_named_with_the_nearest(folder: Path) -> None:
    with pytest.raises(RecipeError, match="unknown runtime 'onnxruntim'") as raised:
        comparison.compare(str(folder), f"{folder}@onnxruntim")
    assert "onnxruntime" in raised.value.fix


def test_files_that_do_not_go_together_are_named(folder: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone.onnx"
    lone.write_bytes(b"anything")
    with pytest.raises(RecipeError, match=r"has no file lone\.onnx to compare with .*it has model\.float32\.onnx"):
        comparison.compare(str(folder), str(lone))
    with pytest.raises(RecipeError, match="which image"):
        comparison.compare(str(folder), str(folder), on="docker")


def document(ratio: float, low: float, high: float) -> dict[str, Any]:
    return {"ratio": ratio, "interval": [low, high], "significant": not low <= 1 <= high, "protocol": {}, "flags": []}


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (
            (1.01, 0.98, 1.04),
            "no significant difference: B takes 1.010 times as long as A (99 % interval 0.980 to 1.040)",
        ),
        ((1.1, 1.05, 1.15), "A is faster: B takes 10.0% more time (1.100 times; 99 % interval 1.050 to 1.150)"),
        ((3.5, 3, 4), "A is faster: B takes 3.50 times as long (3.500 times; 99 % interval 3.000 to 4.000)"),
        ((0.8, 0.7, 0.9), "B is faster: A takes 25.0% more time (B 0.800 times A; 99 % interval 0.700 to 0.900)"),
        ((0.25, 0.2, 0.3), "B is faster: A takes 4.00 times as long (B 0.250 times A; 99 % interval 0.200 to 0.300)"),
    ],
)
def test_a_verdict_is_one_sentence(figures: tuple[float, float, float], said: str) -> None:
    assert comparison.verdict(document(*figures)) == said


def test_what_a_simulated_device_says_is_marked() -> None:
    marked = comparison._marked(document(1, 1, 1), True)
    assert (marked["protocol"]["clock"], marked["flags"][0]["kind"]) == ("instructions", "simulated")
    assert comparison._marked(document(1, 1, 1), False) == document(1, 1, 1)
