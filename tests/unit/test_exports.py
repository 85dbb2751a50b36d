"""Do files get what the targets ask of their format, and only where nobody says otherwise?"""

from pathlib import Path

import pytest

from edgepack.errors import RecipeError
from edgepack.plan import Plan, describe, make_plan

RECIPE = """\
data: {{sklearn: digits, image_shape: [8, 8, 1]}}
model: {{zoo: resnet8}}
export:
  - {{format: tflite, precision: int8}}
  - {{format: onnx, precision: float32{more}}}
targets: [{targets}]
"""
TARGET = """\
description: test
platform: linux/amd64
runtimes: [{runtimes}]
precisions: [float32, int8]
export: {{{export}}}
image: {{platform: linux/amd64, base: nothing}}
"""


def plan(folder: Path, *exports: str, more: str = "", runtimes: str = "litert, onnxruntime") -> Plan:
    """A plan for one target for each ``export`` given."""
    names = [f"dev{number}.yaml" for number in range(len(exports))]
    for name, export in zip(names, exports, strict=True):
        (folder / name).write_text(TARGET.format(export=export, runtimes=runtimes))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(more=more, targets=", ".join(names)))
    return make_plan(recipe)


def test_the_target_fills_in_what_the_recipe_leaves_open(tmp_path: Path) -> None:
    tflite, onnx = plan(tmp_path, "onnx: {opset: 15, layout: nchw}").recipe.export
    assert (onnx.opset, onnx.layout) == (15, "nchw")
    assert (tflite.precision, tflite.input) == ("int8", None)
    without = plan(tmp_path, "").recipe
    assert without.export[1].opset == 17
    assert without.sha256() != plan(tmp_path, "onnx: {opset: 15}").recipe.sha256()


def test_only_targets_that_take_the_file_are_asked(tmp_path: Path) -> None:
    _, onnx = plan(tmp_path, "onnx: {opset: 15}", runtimes="litert").recipe.export
    assert onnx.opset == 17


def test_two_targets_may_say_the_same_or_different_things(tmp_path: Path) -> None:
    _, onnx = plan(tmp_path, "onnx: {opset: 15}", "onnx: {opset: 15, layout: nchw}").recipe.export
    assert (onnx.opset, onnx.layout) == (15, "nchw")


def test_what_is_said_is_in_the_plan(tmp_path: Path) -> None:
    shown = describe(plan(tmp_path, "onnx: {opset: 15}"))
    assert shown["recipe"]["export"][1]["opset"] == 15
    assert shown["targets"][0]["export"] == {"onnx": {"opset": 15}}


@pytest.mark.parametrize(
    ("exports", "more", "message"),
    [
        (
            ["onnx: {opset: 15}"],
            ", opset: 17",
            "target dev0 wants onnx files with opset: 15, but the recipe says 17",
        ),
        (
            ["onnx: {opset: 15}", "onnx: {opset: 16}"],
            "",
            "target dev1 wants onnx files with opset: 16, but target dev0 says 15",
        ),
        (
            ["onnx: {opset: 99}"],
            "",
            "target dev0: export.onnx.opset: Input should be less than or equal to 18, got 99",
        ),
        (
            ["onnx: {opsett: 15}"],
            "",
            "target dev0: export.onnx: unknown key 'opsett', got 15; keys of onnx are: layout, opset",
        ),
        (
            ["onx: {opset: 15}"],
            "",
            "target dev0: export.onx: there is no such format; expected one of: onnx, tflite",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, exports: list[str], more: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plan(tmp_path, *exports, more=more)
    assert message in caught.value.message
    assert caught.value.message.startswith(f"{tmp_path}/recipe.yaml:3")
