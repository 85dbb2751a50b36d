"""Which layers do the patterns of a recipe choose?"""

import pytest

from edgepack.contracts import LayerNote
from edgepack.errors import RecipeError
from edgepack.techniques._layers import chosen_by, filtered, require_any

NAMES = {
    "conv0": ("conv0", "Conv2D"),
    "conv1": ("conv1", "Conv2D", "inner"),
    "bn": ("bn", "BatchNormalization"),
    "head": ("head", "Dense"),
}
NOTES = [
    LayerNote("conv0", "Conv2D", "pruned"),
    LayerNote("conv1", "Conv2D", "pruned"),
    LayerNote("bn", "BatchNormalization", "skipped", "no weights that TFMOT prunes"),
    LayerNote("head", "Dense", "pruned"),
]


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        ((), (), ["conv0", "conv1", "head"]),
        (("conv*",), (), ["conv0", "conv1"]),
        (("Dense",), (), ["head"]),
        ((), ("Conv2D",), ["head"]),
        (("conv?", "head"), ("conv0",), ["conv1", "head"]),
        (("inner",), (), ["conv1"]),
        ((), ("bn",), ["conv0", "conv1", "head"]),
    ],
)
def test_names_classes_and_patterns_choose(
    include: tuple[str, ...], exclude: tuple[str, ...], chosen: list[str]
) -> None:
    notes = filtered(NOTES, NAMES, include=include, exclude=exclude)
    assert [note.layer for note in notes if note.status == "pruned"] == chosen
    assert next(note for note in notes if note.layer == "bn").reason == "no weights that TFMOT prunes"


def test_case_matters_and_brackets_are_sets() -> None:
    assert not chosen_by(["dense"], ("head", "Dense"))
    assert chosen_by(["conv[01]"], ("conv1", "Conv2D"))


def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match="`exclude` names the layer 'hed'") as caught:
        filtered(NOTES, NAMES, include=(), exclude=("hed",))
    assert caught.value.fix == "did you mean 'head'?"


def test_a_step_without_a_layer_says_why_each_was_left_out() -> None:
    notes = filtered(NOTES, NAMES, include=("head",), exclude=("Dense",))
    with pytest.raises(RecipeError, match="head: excluded by the recipe"):
        require_any(notes, "prune")
