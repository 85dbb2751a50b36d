"""Are steps and exports that do not go together refused before anything is trained?"""

from pathlib import Path

import pytest

from edgepack import steps
from edgepack.errors import RecipeError
from edgepack.plan import describe, make_plan

TEXT = """\
data: {{sklearn: digits}}
model: {{zoo: mlp}}
compress: [{steps}]
export:
  - {{format: {format}, precision: {precision}}}
  - {{format: tflite, precision: float32}}
targets: [linux-amd64-cpu]
"""


def recipe(folder: Path, names: str, precision: str = "int8", format_: str = "tflite") -> Path:
    """A recipe with these steps, each by its name."""
    path = folder / "recipe.yaml"
    listed = ", ".join(f"{{use: {name.strip()}}}" for name in names.split(",") if name.strip())
    path.write_text(TEXT.format(steps=listed, format=format_, precision=precision))
    return path


@pytest.mark.parametrize("name", ["float16", "dynamic_range", "int8", "int16x8"])
def test_each_post_training_step_goes_with_an_export_of_its_precision(tmp_path: Path, name: str) -> None:
    plan = make_plan(recipe(tmp_path, f"prune, {name}", name))
    assert [steps.precision_of(config) for config in plan.recipe.compress] == [None, name]
    assert f"model.{name}.tflite" in describe(plan)["artifacts"]["linux-amd64-cpu"]


@pytest.mark.parametrize("name", ["float16", "dynamic_range", "int16x8"])
def test_a_step_whose_precision_no_export_wants_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        make_plan(recipe(tmp_path, f"prune, {name}", "int8"))
    assert f"recipe.yaml:3: compress: `use: {name}` chooses how {name} files are made" in caught.value.message
    assert "its precisions are: float32, int8" in caught.value.message
    assert caught.value.fix == f"add {{format: tflite, precision: {name}}} to export, or drop the step"


def test_an_onnx_export_wants_the_int8_step_from_which_it_is_derived(tmp_path: Path) -> None:
    assert make_plan(recipe(tmp_path, "int8", "int8", "onnx"))


@pytest.mark.parametrize(
    ("names", "message", "fix"),
    [
        ("qat, int8", "`use: int8` after `use: qat`: both decide how the int8 files are made", "`use: qat` alone"),
        ("int8, qat", "`use: qat` after `use: int8`: both decide how the int8 files are made", "`use: int8` alone"),
        ("int8, int8", "`use: int8` stands there twice", "drop one"),
        ("int8, prune", "`use: prune` stands after `use: int8`", "put `use: int8` after `use: prune`"),
    ],
)
def test_steps_that_contradict_each_other_are_refused(tmp_path: Path, names: str, message: str, fix: str) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.yaml:3: compress: ") as caught:
        make_plan(recipe(tmp_path, names))
    assert message in caught.value.message
    assert fix in caught.value.fix


@pytest.mark.parametrize("names", ["prune, qat", "prune, float16, qat", "prune, qat, float16", "prune, int16x8, int8"])
def test_post_training_steps_stand_before_or_after_qat(tmp_path: Path, names: str) -> None:
    path = recipe(tmp_path, names)
    path.write_text(path.read_text().replace("export:", "export:\n" + "".join(
        f"  - {{format: tflite, precision: {precision}}}\n" for precision in ("float16", "int16x8")
    ).rstrip("\n")))  # fmt: skip
    assert len(make_plan(path).recipe.compress) == len(names.split(","))


def test_the_samples_of_a_step_calibrate_its_precision_and_no_other(tmp_path: Path) -> None:
    path = recipe(tmp_path, "int8")
    plan = make_plan(path, overrides=["compress.0.calibration_samples=40"])
    assert steps.calibration_samples(plan.recipe) == {"int8": 40}
    assert steps.calibration_samples(make_plan(recipe(tmp_path, "qat")).recipe) == {}


def test_onnx_refuses_what_only_tflite_makes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        make_plan(recipe(tmp_path, "", "int16x8", "onnx"))
    expected = "onnx files are not made in int16x8, which is made by `format: tflite` only"
    assert f"recipe.yaml:5: 'export.0.precision': {expected}" in caught.value.message
