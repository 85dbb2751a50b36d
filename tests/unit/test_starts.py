"""Are start weights, heads and phases that do not go together refused before anything is built?"""

from pathlib import Path

import pytest

from edgepack import extensions
from edgepack.errors import RecipeError
from edgepack.plan import make_plan

TEXT = """\
data: {{sklearn: digits, image_shape: [8, 8, 1]}}
model: {{{model}}}
training: {{{training}}}
export: [{{format: tflite, precision: float32}}]
targets: [linux-amd64-cpu]
"""


def refused(folder: Path, model: str, training: str) -> RecipeError:
    """What a recipe with these two sections is refused with."""
    path = folder / "recipe.yaml"
    path.write_text(TEXT.format(model=model, training=training))
    with pytest.raises(RecipeError) as caught:
        make_plan(path)
    return caught.value


@pytest.mark.parametrize(
    ("model", "training", "line", "message"),
    [
        ("zoo: resnet8", "transfer: {}", 3, "training.transfer: the model has no start weights"),
        ("file: m.h5", "transfer: {}", 3, "training.transfer: training.epochs is 0"),
        ("file: m.h5, new_head: {}", "batch_size: 8", 2, "a new head knows nothing, but training.epochs is 0"),
        ("zoo: resnet8, weights: m.h5, new_head: {}", "epochs: 0", 2, "a new head knows nothing"),
        ("zoo: resnet8, weights: m.h5", "epochs: 5, transfer: {frozen_epochs: 6}", 3, "6 frozen epochs and 1 stages"),
    ],
)
def test_sections_that_do_not_fit_are_refused_in_their_place(
    tmp_path: Path, model: str, training: str, line: int, message: str
) -> None:
    error = refused(tmp_path, model, training)
    assert message in error.message
    assert f"recipe.yaml:{line}:" in error.message
    assert error.fix


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("zoo: resnet8, new_head: {}", "new_head needs start weights"),
        ("zoo: resnet8, weights: imagenet", "no imagenet weights for 'resnet8'; there are for: efficientnet_b0"),
        ("zoo: resnet8, weigths: m.h5", "unknown key 'model.weigths'"),
        ("zoo: resnet8, weights: m.h5, new_head: {droput: 0.1}", "unknown key 'model.new_head.droput'"),
    ],
)  # fmt: skip
def test_models_that_contradict_themselves_are_refused(tmp_path: Path, model: str, message: str) -> None:
    assert message in refused(tmp_path, model, "epochs: 5").message


@pytest.mark.parametrize("model", ["zoo: mobilenet_v2, weights: imagenet", "file: m.h5", "python: 'm.py:build'"])
def test_what_fits_is_planned_with_every_default(tmp_path: Path, model: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXT.format(model=model, training="epochs: 5, transfer: {stages: [conv2, 0.5]}"))
    transfer = make_plan(path).recipe.resolved()["training"]["transfer"]
    assert [stage["down_to"] for stage in transfer["stages"]] == ["conv2", 0.5]
    assert (transfer["rate_divisor"], transfer["batch_normalization"]) == (2.6, "freeze")


@pytest.mark.parametrize("key", ["zoo: resnet8, weights: base.h5", "file: base.h5, new_head: {}"])
def test_other_weights_are_another_model(tmp_path: Path, key: str) -> None:
    """What tells a cached training from another one; a new head is part of the recipe, which is in the key as well."""
    path, found = tmp_path / "recipe.yaml", []
    path.write_text(TEXT.format(model=key, training="epochs: 5"))
    for content in (b"one", b"other", b"one"):
        (tmp_path / "base.h5").write_bytes(content)
        model = make_plan(path).recipe.model
        found.append(extensions.load("edgepack.models", extensions.name_of(model)).identity(model, tmp_path))
    assert found[0] == found[2] != found[1]
