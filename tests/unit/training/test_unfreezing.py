"""Does each phase train the layers that the recipe says, at the rates of the paper?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgepack.errors import RecipeError
from edgepack.training.unfreezing import Transfer, phases

LAYERS = ["stem", "stage1_a", "stage1_b", "stage2_a", "stage2_b", "stage2_c"]


def planned(total: int = 12, **keys: Any) -> list[tuple[str, int, dict[str, float]]]:
    transfer = Transfer(**keys)
    found = phases(transfer, LAYERS, ["classifier"], epochs=transfer.epochs(total))
    return [(phase.name, phase.epochs, phase.layers) for phase in found]


def test_by_default_the_head_comes_first_and_then_all_layers_follow_more_slowly() -> None:
    (first, second) = planned()
    assert first == ("new layers", 3, {"classifier": 1.0})
    assert second == ("down to stem", 9, {"classifier": 1.0, **dict.fromkeys(LAYERS, 1 / 2.6)})


def test_each_group_below_another_has_its_rate_divided_once_more() -> None:
    """1801.06146, section 3.2: the rate of a layer is that of the layer above, divided by 2.6."""
    last = planned(stages=["stage2", "stage1", "all"])[-1][2]
    assert last["classifier"] == 1
    assert {last[name] for name in ("stage2_a", "stage2_b", "stage2_c")} == {2.6**-1}
    assert {last[name] for name in ("stage1_a", "stage1_b")} == {2.6**-2}
    assert last["stem"] == 2.6**-3
    assert set(planned(stages=["stage2", "all"], rate_divisor=1)[-1][2].values()) == {1.0}


@pytest.mark.parametrize(
    ("down_to", "lowest"),
    [("stage2", "stage2_a"), ("stage1_b", "stage1_b"), (1, "stage2_c"), (4, "stage1_b"), (0.5, "stage2_a")],
)
def test_a_stage_goes_down_to_a_layer(down_to: Any, lowest: str) -> None:
    name, _, trained = planned(stages=[down_to])[-1]
    assert name == f"down to {lowest}"
    assert list(trained) == ["classifier", *LAYERS[LAYERS.index(lowest) :]]


def test_without_stages_only_the_head_is_trained() -> None:
    assert planned(stages=[]) == [("new layers", 12, {"classifier": 1.0})]


def test_without_frozen_epochs_the_first_stage_begins() -> None:
    assert [name for name, _, _ in planned(frozen_epochs=0)] == ["down to stem"]


def test_a_stage_may_have_epochs_and_a_rate_of_its_own() -> None:
    transfer = Transfer(frozen_epochs=2, stages=[{"down_to": 2, "epochs": 3, "learning_rate": 0.1}, "all"])  # type: ignore[arg-type, list-item]
    assert transfer.epochs(12) == (2, 3, 7)
    found = phases(transfer, LAYERS, ["classifier"], epochs=(2, 3, 7))
    assert [phase.learning_rate for phase in found] == [None, 0.1, None]


@given(st.integers(1, 60), st.integers(0, 5))
def test_the_phases_fill_the_training(total: int, stages: int) -> None:
    transfer = Transfer(stages=tuple(range(1, stages + 1)))  # type: ignore[arg-type]
    try:
        found = transfer.epochs(total)
    except RecipeError:
        assert stages >= total
        return
    assert sum(found) == total and min(found) >= 1
    assert max(found[1:], default=0) - min(found[1:], default=0) <= 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"frozen_epochs": 13}, "13 frozen epochs and 1 stages need 14 epochs or more, but training.epochs is 12"),
        ({"frozen_epochs": 12}, "need 13 epochs or more"),
        ({"stages": [{"down_to": 1, "epochs": 9}, "all"]}, "need 13 epochs or more"),
        ({"frozen_epochs": 3, "stages": []}, "the phases have 3 epochs together, but training.epochs is 12"),
        ({"frozen_epochs": 3, "stages": [{"down_to": "all", "epochs": 4}]}, "the phases have 7 epochs together"),
    ],
)
def test_phases_that_do_not_fit_the_training_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Transfer(**keys).epochs(12)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("stages", "message", "fix"),
    [
        (["stag3"], "no layer with start weights has a name that begins with 'stag3'", "did you mean 'stage"),
        (["all", "stage2"], "'stage2' begins at the layer 'stage2_a' and unfreezes nothing", "order stages"),
        ([2, "stage2_b"], "'stage2_b' begins at the layer 'stage2_b' and unfreezes nothing", "order stages"),
        ([7], "7 layers are asked for, but only 6 have start weights", "write `all`"),
    ],
)
def test_stages_that_do_not_fit_the_model_are_refused(stages: list[Any], message: str, fix: str) -> None:
    with pytest.raises(RecipeError) as caught:
        planned(stages=stages)
    assert message in caught.value.message
    assert fix in caught.value.fix


@pytest.mark.parametrize("stage", [0, -1, 1.0, 0.0, 1.5, ""])
def test_a_place_that_is_none_is_refused(stage: Any) -> None:
    with pytest.raises(ValidationError, match="a number of layers, a fraction below 1, or `all`"):
        Transfer(stages=[stage])  # type: ignore[arg-type]


def test_a_training_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing is trained"):
        Transfer(frozen_epochs=0, stages=())


def test_what_is_written_out_is_read_back() -> None:
    transfer = Transfer(stages=["stage2", 0.5, 4, "all"])  # type: ignore[arg-type]
    assert Transfer.model_validate_json(transfer.model_dump_json()) == transfer
